// Package client is the Go client of a Headwater server: the generated stubs over one connection, and what is more than
// one message long (loads, datasets, watched runs).
//
// It may import the generated code, feature, internal/fault and internal/wire. Invariant: every error a method returns, of a stub too,
// is a *fault.Fault whose message a user can act on; what is not there, or not a Headwater server, is named by its
// address.
package client

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// DefaultServer is where a server listens when nothing else is said.
const DefaultServer = "127.0.0.1:7411"

// Client is a connection to one server, as one principal. It is safe for concurrent use.
type Client struct {
	Registry        headwaterv1.RegistryServiceClient
	Loads           headwaterv1.IngestServiceClient
	Materialization headwaterv1.MaterializationServiceClient
	Quarantine      headwaterv1.QuarantineServiceClient
	Quality         headwaterv1.QualityServiceClient
	Bias            headwaterv1.BiasServiceClient
	Online          headwaterv1.OnlineServiceClient
	Approvals       headwaterv1.ApprovalServiceClient
	Datasets        headwaterv1.DatasetServiceClient
	Retention       headwaterv1.RetentionServiceClient
	Lineage         headwaterv1.LineageServiceClient
	Reads           headwaterv1.ReadLogServiceClient
	Feedback        headwaterv1.FeedbackServiceClient
	Access          headwaterv1.AccessServiceClient

	connection  *grpc.ClientConn
	server      string
	token       string
	readTimeout time.Duration
}

// Dial makes a client of the server at an address `HOST:PORT`. Where the name of the host has several addresses, calls go round over those
// that answer; `dns://NAME-SERVER/HOST:PORT` asks another name server than the machine's. It does not wait for the connection: a server that is not
// there is told by the first call. An empty token calls without one. The caller closes the Client.
func Dial(server, token string, options Options) (*Client, error) {
	c := &Client{server: server, token: token, readTimeout: cmp.Or(options.ReadTimeout, defaultReadTimeout)}
	connection, err := grpc.NewClient(server,
		append(options.dial(), grpc.WithUnaryInterceptor(c.unary), grpc.WithStreamInterceptor(c.stream))...)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "found server address %q, expected HOST:PORT such as %s", server, DefaultServer).Because(err)
	}
	c.connection = connection
	c.Registry = headwaterv1.NewRegistryServiceClient(connection)
	c.Loads = headwaterv1.NewIngestServiceClient(connection)
	c.Materialization = headwaterv1.NewMaterializationServiceClient(connection)
	c.Quarantine = headwaterv1.NewQuarantineServiceClient(connection)
	c.Quality = headwaterv1.NewQualityServiceClient(connection)
	c.Bias = headwaterv1.NewBiasServiceClient(connection)
	c.Online = headwaterv1.NewOnlineServiceClient(connection)
	c.Approvals = headwaterv1.NewApprovalServiceClient(connection)
	c.Datasets = headwaterv1.NewDatasetServiceClient(connection)
	c.Retention = headwaterv1.NewRetentionServiceClient(connection)
	c.Lineage = headwaterv1.NewLineageServiceClient(connection)
	c.Reads = headwaterv1.NewReadLogServiceClient(connection)
	c.Feedback = headwaterv1.NewFeedbackServiceClient(connection)
	c.Access = headwaterv1.NewAccessServiceClient(connection)
	return c, nil
}

// Close ends the connection and every call on it.
func (c *Client) Close() error { return c.connection.Close() }

func (c *Client) authorized(ctx context.Context) context.Context {
	if c.token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
}

func (c *Client) unary(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if _, bounded := ctx.Deadline(); !bounded && c.readTimeout > 0 && isRead(method) {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, c.readTimeout)
		defer end()
	}
	return c.explain(invoke(c.authorized(ctx), method, request, reply, connection, options...))
}

func (c *Client) stream(
	ctx context.Context, description *grpc.StreamDesc, connection *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	s, err := open(c.authorized(ctx), description, connection, method, options...)
	if err != nil {
		return nil, c.explain(err)
	}
	return explainedStream{s, c}, nil
}

// explainedStream is a stream whose errors are faults.
type explainedStream struct {
	grpc.ClientStream
	client *Client
}

func (s explainedStream) SendMsg(m any) error { return s.client.explain(s.ClientStream.SendMsg(m)) }
func (s explainedStream) RecvMsg(m any) error { return s.client.explain(s.ClientStream.RecvMsg(m)) }
func (s explainedStream) CloseSend() error    { return s.client.explain(s.ClientStream.CloseSend()) }

// explain is a call's error as a fault; io.EOF, the end of a stream, stays.
func (c *Client) explain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	err = asSaid(err)
	f := fault.FromError(err)
	s, isStatus := status.FromError(err)
	if !isStatus || hasInfo(s) {
		return f
	}
	switch s.Code() {
	case codes.Unavailable:
		return fault.New(fault.ServerUnavailable, "%s", c.unreachable(s.Message())).With("server", c.server).Because(err)
	case codes.Unimplemented:
		return fault.New(fault.Unimplemented, "what answers at %s does not know this call; is it a Headwater server of this version?", c.server).Because(err)
	case codes.Canceled:
		return fault.New(fault.Cancelled, "the call was cancelled before it was done").Because(errors.Join(err, context.Canceled))
	case codes.ResourceExhausted:
		// gRPC says so before anything of Headwater's sees the message.
		return fault.New(fault.ResourceExhausted, "the server at %s does not take a message of this size (%s); cut what is sent into smaller parts",
			c.server, s.Message()).Because(err)
	case codes.DeadlineExceeded:
		return fault.New(fault.DeadlineExceeded, "the server at %s did not answer in time; try again, or give it longer", c.server).Because(err)
	}
	return f
}

// asSaid is a call's error without what gRPC puts around the last try's when it gives up: its text, with the attempts counted and the
// code, would stand before the server's own message.
func asSaid(err error) error {
	var said interface {
		error
		GRPCStatus() *status.Status
	}
	if errors.As(err, &said) {
		return said
	}
	return err
}

// hasInfo reports whether the error is one of Headwater's own.
func hasInfo(s *status.Status) bool { return len(s.Details()) > 0 }

// What gRPC says before the reason.
const (
	dialing   = "Error while dialing: "
	handshake = "authentication handshake failed: "
)

func (c *Client) unreachable(message string) string {
	if i := strings.LastIndex(message, handshake); i >= 0 {
		return "what answers at " + c.server + " cannot be trusted, or speaks no TLS (" + strings.Trim(message[i+len(handshake):], `"`) + "); name the " +
			"authority of its certificate (HEADWATER_CA_FILE), or the host that the certificate is for"
	}
	if i := strings.LastIndex(message, dialing); i >= 0 {
		why := strings.Trim(message[i+len(dialing):], `"`)
		if i := strings.LastIndex(why, ": "); i >= 0 {
			why = why[i+2:]
		}
		return "no server answers at " + c.server + " (" + why + "); is it running? Start one with `headwater dev`, or say where it is " +
			"with --server or HEADWATER_SERVER"
	}
	return "the connection to the server at " + c.server + " was lost before the call was done; see whether it still runs, and try again"
}
