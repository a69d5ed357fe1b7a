package main

import (
	"context"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

func alarmCommands(o *options) *cobra.Command {
	return noun("alarm", "Alarms: list, close", "Alarms are what somebody must look at: a bad record, a cloned station, a policy that fails.",
		alarmList(o), alarmClose(o))
}

func alarmList(o *options) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List open alarms", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				alarms, err := pages(func(token string) ([]*taplinev1.Alarm, string, error) {
					r, err := b.admin.ListAlarms(ctx, &taplinev1.ListAlarmsRequest{PageSize: pageSize, PageToken: token, OpenOnly: !all})
					return r.GetAlarms(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, alarms,
					column[*taplinev1.Alarm]{"ID", (*taplinev1.Alarm).GetId},
					column[*taplinev1.Alarm]{"AT", func(a *taplinev1.Alarm) string { return when(a.GetAt()) }},
					column[*taplinev1.Alarm]{"KIND", (*taplinev1.Alarm).GetKind},
					column[*taplinev1.Alarm]{"STATION", (*taplinev1.Alarm).GetStation},
					column[*taplinev1.Alarm]{"WHAT", (*taplinev1.Alarm).GetWhat},
					column[*taplinev1.Alarm]{"NEXT STEP", (*taplinev1.Alarm).GetHint})
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "closed ones too")
	return c
}

func alarmClose(o *options) *cobra.Command {
	var note string
	c := &cobra.Command{
		Use: "close ID", Short: "Close an alarm", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.CloseAlarm(ctx, &taplinev1.CloseAlarmRequest{Id: args[0], Note: note})
				if err != nil {
					return err
				}
				return show(c, o, r.GetAlarm(), "alarm %s closed", args[0])
			})
		},
	}
	c.Flags().StringVar(&note, "note", "", "what was done")
	must(c.MarkFlagRequired("note"))
	return c
}
