package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	"tapline/proto/wire"
)

func contextCommands(o *options) *cobra.Command {
	return noun("context", "Your identities: list, use, remove", `A context is an identity at one site's brokers, by a name of your own. "tapctl login
--context NAME" makes one.`, contextList(o), contextUse(), contextRemove())
}

// contextLine is a context as it is listed.
type contextLine struct {
	Name    string    `json:"name"`
	InUse   bool      `json:"in_use"`
	Officer string    `json:"officer"`
	Role    string    `json:"role"`
	Site    string    `json:"site"`
	Until   time.Time `json:"until"`
	Brokers []string  `json:"brokers"`
}

func contexts() ([]contextLine, error) {
	entries, err := os.ReadDir(contextsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list contexts: %w", err)
	}
	all := []contextLine{}
	for _, e := range entries {
		if !e.IsDir() || checkContext(e.Name()) != nil {
			continue
		}
		h, err := (&options{identity: filepath.Join(contextsDir(), e.Name())}).hold()
		if err != nil {
			continue // an unfinished login
		}
		who, err := wire.SubjectOf(h.cert.Leaf)
		if err != nil {
			continue
		}
		all = append(all, contextLine{e.Name(), e.Name() == currentContext(), who.Name, string(who.Role), who.Site, h.cert.Leaf.NotAfter, h.brokers})
	}
	return all, nil
}

func contextList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List your identities", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := contexts()
			if err != nil {
				return err
			}
			if o.output == "json" {
				b, err := json.MarshalIndent(all, "", "  ")
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", b)
				return err
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "IN USE\tCONTEXT\tNAME\tROLE\tSITE\tUNTIL\tBROKERS")
			for _, l := range all {
				mark := map[bool]string{true: "*", false: ""}[l.InUse]
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, l.Name, clean(l.Officer), l.Role, l.Site, l.Until.Local().Format("2006-01-02 15:04"), strings.Join(l.Brokers, ","))
			}
			return w.Flush()
		},
	}
}

func contextUse() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Use an identity from now on", Args: cobra.ExactArgs(1), ValidArgsFunction: completeContexts,
		RunE: func(c *cobra.Command, args []string) error {
			if err := knownContext(args[0]); err != nil {
				return err
			}
			if err := os.WriteFile(currentFile(), []byte(args[0]+"\n"), 0o600); err != nil {
				return fmt.Errorf("choose context: %w", err)
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s is in use\n", args[0])
			return err
		},
	}
}

func contextRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Delete an identity from this machine; its key is gone for good", Args: cobra.ExactArgs(1), ValidArgsFunction: completeContexts,
		RunE: func(c *cobra.Command, args []string) error {
			if err := knownContext(args[0]); err != nil {
				return err
			}
			if err := os.RemoveAll(filepath.Join(contextsDir(), args[0])); err != nil {
				return fmt.Errorf("remove context: %w", err)
			}
			if currentContext() == args[0] {
				if err := os.Remove(currentFile()); err != nil {
					return fmt.Errorf("remove context: %w", err)
				}
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s is removed\n", args[0])
			return err
		},
	}
}

func knownContext(name string) error {
	if err := checkContext(name); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(contextsDir(), name)); err != nil {
		return osservice.Fault(osservice.Usage, fmt.Errorf("there is no context %s", name), `"tapctl context list" shows them; "tapctl login --context NAME" makes one`)
	}
	return nil
}

func completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all, err := contexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, len(all))
	for i, l := range all {
		names[i] = l.Name
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
