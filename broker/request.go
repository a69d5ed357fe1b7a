package broker

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"tapline/proto/wire"
)

// requestOf is the ID of a call: the caller's own, if it is one that a log line can hold, else a new one. It is in each line of the log about the call.
func requestOf(ctx context.Context) string {
	for _, id := range metadata.ValueFromIncomingContext(ctx, wire.RequestHeader) {
		if goodRequest(id) {
			return id
		}
	}
	return uuid.NewString()
}

// maxRequest bounds what a caller may name its call.
const maxRequest = 64

func goodRequest(id string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return id != "" && len(id) <= maxRequest && strings.Trim(id, letters) == ""
}

// requestUnary names a call and tells the caller its name.
func requestUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	id := requestOf(ctx)
	_ = grpc.SetTrailer(ctx, metadata.Pairs(wire.RequestHeader, id)) // fails only where there is no stream to set it on
	return next(context.WithValue(ctx, requestKey{}, id), req)
}

// requestStream is requestUnary for streams.
func requestStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	id := requestOf(stream.Context())
	stream.SetTrailer(metadata.Pairs(wire.RequestHeader, id))
	return next(srv, &namedStream{stream, context.WithValue(stream.Context(), requestKey{}, id)})
}

type requestKey struct{}

type namedStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context is the stream's, with the name of the call.
func (s *namedStream) Context() context.Context { return s.ctx }
