package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Dataset is a dataset on its way from the server. It reads as an Arrow IPC stream: io.EOF only comes when the manifest
// has come and the bytes are those the manifest speaks of. It is not safe for concurrent use.
type Dataset struct {
	receive  func() (datasetPart, error)
	cancel   context.CancelFunc
	hash     hash.Hash
	pending  []byte
	bytes    int64
	manifest *headwaterv1.Manifest
	err      error
}

type datasetPart interface {
	GetArrow() []byte
	GetManifest() *headwaterv1.Manifest
}

// BuildDataset sends a spine, and returns when all of it is sent. service is empty where the header lists features; where the header
// says that the server reads the spine itself, spine is not looked at. The dataset exists when its manifest has come. The caller
// closes the Dataset.
func (c *Client) BuildDataset(ctx context.Context, service string, header *headwaterv1.BuildDatasetHeader, spine Rows) (*Dataset, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.Datasets.BuildDataset(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	err = stream.Send(&headwaterv1.BuildDatasetRequest{Service: service, Header: header})
	if err == nil && header.GetSpine() == nil {
		err = spine.send(func(part []byte) error { return stream.Send(&headwaterv1.BuildDatasetRequest{Arrow: part}) })
	}
	if err == nil {
		err = stream.CloseSend()
	}
	if err != nil {
		defer cancel()
		return ended(err, func() (*Dataset, error) {
			_, err := stream.Recv()
			return nil, err
		})
	}
	return newDataset(cancel, func() (datasetPart, error) { return stream.Recv() }), nil
}

// FetchDataset asks for a dataset again. The caller closes the Dataset.
func (c *Client) FetchDataset(ctx context.Context, req *headwaterv1.FetchDatasetRequest) (*Dataset, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.Datasets.FetchDataset(ctx, req)
	if err != nil {
		cancel()
		return nil, err
	}
	return newDataset(cancel, func() (datasetPart, error) { return stream.Recv() }), nil
}

func newDataset(cancel context.CancelFunc, receive func() (datasetPart, error)) *Dataset {
	return &Dataset{receive: receive, cancel: cancel, hash: sha256.New()}
}

// Close ends the call, wherever it is.
func (d *Dataset) Close() { d.cancel() }

// Bytes counts what was read so far.
func (d *Dataset) Bytes() int64 { return d.bytes }

// Read reads on in the Arrow IPC stream.
func (d *Dataset) Read(p []byte) (int, error) {
	for len(d.pending) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		d.err = d.next()
	}
	n := copy(p, d.pending)
	d.pending = d.pending[n:]
	d.bytes += int64(n)
	return n, nil
}

func (d *Dataset) next() error {
	part, err := d.receive()
	if err == io.EOF {
		return d.check()
	}
	if err != nil {
		return err
	}
	if m := part.GetManifest(); m != nil {
		d.manifest = m
		if m.GetState() == headwaterv1.DatasetState_DATASET_STATE_BUILT {
			return fault.New(fault.GateRefused, "%s", m.GetHeld()).With("dataset", m.GetId())
		}
		return nil
	}
	d.pending = part.GetArrow()
	d.hash.Write(d.pending)
	return nil
}

func (d *Dataset) check() error {
	if d.manifest == nil {
		return fault.New(fault.Internal, "the server ended the dataset without its manifest; nothing of it may be used, so ask for it again")
	}
	if found := hex.EncodeToString(d.hash.Sum(nil)); found != d.manifest.ArrowSha256 {
		return fault.New(fault.DigestMismatch, "dataset %s: found bytes of SHA-256 %s, expected %s as in its manifest; "+
			"they were changed on the way, so fetch it again", d.manifest.Id, found, d.manifest.ArrowSha256)
	}
	return io.EOF
}

// Held is the manifest of a dataset that was built and is held, when Read has failed with GATE_REFUSED for that: its rows come when it is
// released. nil: it is not.
func (d *Dataset) Held() *headwaterv1.Manifest {
	if d.manifest.GetState() != headwaterv1.DatasetState_DATASET_STATE_BUILT {
		return nil
	}
	return d.manifest
}

// Err is why Read stopped before the stream's end, or nil.
func (d *Dataset) Err() error {
	if d.err == io.EOF {
		return nil
	}
	return d.err
}

// Manifest reads what is left of the stream, and returns the manifest that ends it.
func (d *Dataset) Manifest() (*headwaterv1.Manifest, error) {
	if _, err := io.Copy(io.Discard, d); err != nil {
		return nil, err
	}
	return d.manifest, nil
}
