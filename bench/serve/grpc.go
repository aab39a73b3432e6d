package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/grpcflow"
)

// rawCodec passes messages on as the bytes that they are on the wire.
type rawCodec struct{}

// message is one in bytes. What comes is kept where it is asked for; else its length is all that is looked at.
type message struct {
	bytes []byte
	// pooled are they instead where gRPC has the memory back once they are sent.
	pooled *[]byte
	keep   bool
	length int
}

// Name is that of protobuf, which is what the bytes are.
func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m := v.(*message)
	if m.pooled != nil {
		return mem.BufferSlice{mem.NewBuffer(m.pooled, mem.DefaultBufferPool())}, nil
	}
	return mem.BufferSlice{mem.SliceBuffer(m.bytes)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m := v.(*message)
	m.length = data.Len()
	if m.keep {
		m.bytes = data.Materialize()
	}
	return nil
}

const getFeatures = "/headwater.v1.OnlineService/GetFeatures"

// request is one that can be made for other entities by writing over its keys, which are its end.
type request struct {
	bytes []byte
	// keys is where each key begins.
	keys []int
}

func newRequest(service string, entities int) (*request, error) {
	column := &headwaterv1.KeyColumn{Strings: make([]string, entities)}
	for i := range column.Strings {
		column.Strings[i] = string(appendEntityKey(nil, 0))
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&headwaterv1.GetFeaturesRequest{
		Service: service, Keys: map[string]*headwaterv1.KeyColumn{entityName: column},
	})
	if err != nil {
		return nil, err
	}
	r := &request{bytes: b}
	// Each key has its field's number and its length before it.
	const framed = 2 + keyLength
	for i := range entities {
		r.keys = append(r.keys, len(b)-(entities-i)*framed+2)
	}
	if at := r.keys[0]; !bytes.Equal(b[at:at+keyLength], appendEntityKey(nil, 0)) {
		return nil, errors.New("found no keys at the end of a request, expected them there")
	}
	return r, nil
}

func (r *request) of(entities []int) {
	for i, at := range r.keys {
		appendEntityKey(r.bytes[at:at:at+keyLength], entities[i])
	}
}

// grpcAsker asks a server of the contract.
type grpcAsker struct {
	connection *grpc.ClientConn
	// headers have the token.
	headers metadata.MD
	request *request
	answer  message
	// masked are the columns that a mask is on; nil: none.
	masked map[int]bool
	// length is of the answer where it is known, and not looked into; else 0.
	length int
}

func (a *grpcAsker) call(ctx context.Context, entities []int, keep bool) error {
	a.request.of(entities)
	ctx = metadata.NewOutgoingContext(ctx, a.headers)
	answer := message{keep: keep}
	if err := a.connection.Invoke(ctx, getFeatures, &message{bytes: a.request.bytes}, &answer, grpc.ForceCodecV2(rawCodec{})); err != nil {
		return err
	}
	if keep {
		a.answer = answer
	}
	if answer.length == 0 || a.length > 0 && answer.length != a.length {
		return fmt.Errorf("found an answer of %d bytes, expected %d", answer.length, a.length)
	}
	return nil
}

func (a *grpcAsker) check(entities []int) error {
	if a.length > 0 {
		// The bytes are those of an answer to another request, which was looked into.
		return nil
	}
	return checkBytes(a.answer.bytes, entities, a.masked)
}

// checkBytes is checkAnswer for an answer as it came.
func checkBytes(b []byte, entities []int, masked map[int]bool) error {
	answer := &headwaterv1.GetFeaturesResponse{}
	if err := proto.Unmarshal(b, answer); err != nil {
		return err
	}
	return checkAnswer(answer, entities, masked)
}

// dial connects to a server as often as callers are to be spread over, with the windows that the product's client has.
func dial(address string, connections int) (all connectionsOf, err error) {
	for range connections {
		c, err := grpc.NewClient(address, append(grpcflow.Client(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		if err != nil {
			return all, errors.Join(err, all.close())
		}
		all = append(all, c)
	}
	return all, nil
}

type connectionsOf []*grpc.ClientConn

func (all connectionsOf) close() error {
	var errs []error
	for _, c := range all {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// ask makes callers of a service. lengths are of the answers by number of entities, where they are known.
func (all connectionsOf) ask(service, token string, lengths map[int]int) func(caller, entities int) asker {
	return func(caller, entities int) asker {
		r, err := newRequest(service, entities)
		if err != nil {
			return failing{err}
		}
		return &grpcAsker{
			connection: all[caller%len(all)], headers: metadata.Pairs("authorization", "Bearer "+token), request: r, length: lengths[entities],
		}
	}
}

// failing is an asker that could not be made.
type failing struct{ err error }

func (f failing) call(context.Context, []int, bool) error { return f.err }
func (f failing) check([]int) error                       { return f.err }
