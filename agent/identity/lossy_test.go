package identity

import (
	"context"

	"google.golang.org/grpc"

	"tapline/agent/brokertest"
	taplinev1 "tapline/proto/tapline/v1"
)

// lossy is a line to the broker on which requests and answers can be lost.
type lossy struct {
	brokertest.Direct
	site *site
}

func through[Req, Resp any](l *lossy, ctx context.Context, call func(context.Context, Req, ...grpc.CallOption) (Resp, error), req Req) (answer Resp, err error) {
	if l.site.cut == nil {
		return call(ctx, req)
	}
	err = l.site.cut(func() (err error) {
		answer, err = call(ctx, req)
		return err
	})
	return answer, err
}

func (l *lossy) Enrol(ctx context.Context, r *taplinev1.EnrolRequest, _ ...grpc.CallOption) (*taplinev1.EnrolResponse, error) {
	return through(l, ctx, l.Direct.Enrol, r)
}

func (l *lossy) Renew(ctx context.Context, r *taplinev1.RenewRequest, _ ...grpc.CallOption) (*taplinev1.RenewResponse, error) {
	return through(l, ctx, l.Direct.Renew, r)
}

func (l *lossy) Recover(ctx context.Context, r *taplinev1.RecoverRequest, _ ...grpc.CallOption) (*taplinev1.RecoverResponse, error) {
	return through(l, ctx, l.Direct.Recover, r)
}
