package server

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// nested is a value within lists, so many deep.
func nested(depth int) *headwaterv1.Value {
	v := &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: "x"}}
	for range depth {
		v = &headwaterv1.Value{Kind: &headwaterv1.Value_ListValue{ListValue: &headwaterv1.ListValue{Values: []*headwaterv1.Value{v}}}}
	}
	return v
}

// Messages that are large, deep or wide are refused, and the server goes on. Not beside other tests: it counts what the process allocates.
func TestAttackMessages(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(34))), 0)
	p.materialize("delays")
	keyed := func(v *headwaterv1.Value) map[string]*headwaterv1.KeyColumn {
		return map[string]*headwaterv1.KeyColumn{"origin": {Values: []*headwaterv1.Value{v}}}
	}
	get := func(r *headwaterv1.GetFeaturesRequest, options ...grpc.CallOption) error {
		r.Service = "small"
		_, err := p.online.GetFeatures(p.admin, r, options...)
		return err
	}
	wide := func(n int) map[string]string {
		m := make(map[string]string, n)
		for i := range n {
			m[fmt.Sprint("k", i)] = "x"
		}
		return m
	}
	for name, call := range map[string]func() error{
		"a key 4,000 lists deep":  func() error { return get(&headwaterv1.GetFeaturesRequest{Keys: keyed(nested(4000))}) },
		"a key 10,000 lists deep": func() error { return get(&headwaterv1.GetFeaturesRequest{Keys: keyed(nested(10_000))}) },
		"an input 4,000 lists deep": func() error {
			return get(&headwaterv1.GetFeaturesRequest{Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}, Inputs: keyed(nested(4000))})
		},
		"a row 4,000 lists deep": func() error {
			stream, err := p.loads.Ingest(p.admin)
			if err != nil {
				return err
			}
			_ = stream.Send(&headwaterv1.IngestRequest{Source: "flights", Header: &headwaterv1.IngestHeader{Batches: true, FileName: "f"}})
			m := rowBatch("k", flights(flight("ORD", 7, time.Now(), feature.Null())))
			m.Batch.Rows[0].Values[4] = nested(4000)
			_ = stream.Send(m)
			_, err = stream.CloseAndRecv()
			return err
		},
		"a key to forget, 4,000 lists deep": func() error {
			_, err := p.retention.Forget(p.admin, &headwaterv1.ForgetRequest{Entity: "airport", Keys: map[string]*headwaterv1.Value{"origin": nested(4000)}, Reason: "r"})
			return err
		},
		"a mapping of 200,000 keys": func() error {
			return get(&headwaterv1.GetFeaturesRequest{Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}, KeyMapping: wide(200_000)})
		},
		"100,000 attributes": func() error {
			attributes := map[string]*headwaterv1.AttributeValues{}
			for name := range wide(100_000) {
				attributes[name] = &headwaterv1.AttributeValues{Values: []string{"x"}}
			}
			_, err := p.access.CreateToken(p.admin, &headwaterv1.CreateTokenRequest{Principal: "p", Roles: []string{"admin"}, Attributes: attributes})
			return err
		},
		"200,000 names of features": func() error {
			features := make([]string, 200_000)
			for i := range features {
				features[i] = "delays.delay"
			}
			_, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Features: features, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
			return err
		},
		"a message of 17 MiB": func() error { return get(&headwaterv1.GetFeaturesRequest{Purpose: strings.Repeat("x", 17<<20)}) },
	} {
		f := fault.FromError(call())
		switch {
		case f == nil:
			t.Errorf("%s: found it taken", name)
		case strings.HasPrefix(name, "a key 10,000"):
			// gRPC's own part refuses it before anything is read.
		case !refusals[f.Reason]:
			t.Errorf("%s: found %s %q", name, f.Reason, f.Error())
		case len(f.Error()) > 5000:
			t.Errorf("%s: found a message of %d bytes", name, len(f.Error()))
		}
	}

	// Some kilobytes that unpack to a message of 200 MB.
	var before, after runtime.MemStats
	bomb := &headwaterv1.GetFeaturesRequest{Purpose: strings.Repeat("x", 200_000_000)}
	runtime.ReadMemStats(&before)
	err := get(bomb, grpc.UseCompressor("gzip"), grpc.MaxCallSendMsgSize(1<<30))
	runtime.ReadMemStats(&after)
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a compressed message: found %v", err)
	}
	// What the caller takes to marshal and to compress it is counted too.
	if took := after.TotalAlloc - before.TotalAlloc; took > 600_000_000 {
		t.Errorf("a compressed message took %d bytes", took)
	}

	if got := p.delayOf("small", "ORD"); got != "34/PRESENT" {
		t.Errorf("found %s afterwards", got)
	}
	for _, word := range []string{"panic", "stack overflow"} {
		if strings.Contains(p.log.String(), word) {
			t.Errorf("the log has %q: %s", word, p.log)
		}
	}
}

// A caller that heeds nothing sends a megabyte of headers before it says who it is: the connection is ended, and no other.
func TestAttackHeaders(t *testing.T) {
	p := newProduct(t)
	for name, header := range map[string]string{"a token": "authorization", "another header": "x-more"} {
		conn, err := net.Dial("tcp", p.conn.Target())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/headwater.v1.AccessService/ListTokens"}, {":authority", "x"},
			{"content-type", "application/grpc"}, {"te", "trailers"}, {header, "Bearer " + strings.Repeat("a", 1<<20)}} {
			if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
				t.Fatal(err)
			}
		}
		answered := false
		if _, err := conn.Write([]byte(http2.ClientPreface)); err == nil {
			framer := http2.NewFramer(conn, conn)
			_ = framer.WriteSettings()
			rest := block.Bytes()
			err = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: rest[:16000], EndStream: true})
			for rest = rest[16000:]; err == nil && len(rest) > 0; {
				n := min(len(rest), 16000)
				err = framer.WriteContinuation(1, n == len(rest), rest[:n])
				rest = rest[n:]
			}
			for {
				frame, err := framer.ReadFrame()
				if err != nil {
					break
				}
				if h, ok := frame.(*http2.HeadersFrame); ok {
					// It may say that it is too much; what it says is not what the method would.
					fields, _ := hpack.NewDecoder(4096, nil).DecodeFull(h.HeaderBlockFragment())
					for _, f := range fields {
						answered = answered || f.Name == "grpc-status" && f.Value == "0"
					}
					break
				}
				if _, ok := frame.(*http2.RSTStreamFrame); ok {
					break
				}
			}
		}
		if answered {
			t.Errorf("%s of a megabyte: found the call answered", name)
		}
	}
	if _, err := p.access.ListTokens(p.admin, &headwaterv1.ListTokensRequest{}); err != nil {
		t.Errorf("found %v of another caller", err)
	}
	if n := p.count(`SELECT count(*) FROM headwater.token`); n != 1 {
		t.Errorf("found %d tokens", n)
	}
}

// What looks like a path is a text: of files that were sent, of datasets, and of what is kept of them.
func TestAttackPaths(t *testing.T) {
	folder := t.TempDir()
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), ResultsDir: folder + "/kept"})
	p.apply(definitions())
	at := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays")
	spine := spineOf(asked("ORD", 7, time.Now())).arrow(t)
	for i, path := range []string{"../../etc/passwd", "/etc/passwd", `..\..\x`, "a/../../b", "x\x00.csv", "-", "--out", "CON", strings.Repeat("../", 300) + "x", "é\u202efdp.exe", "*"} {
		content := flights(flight("JFK", int64(i), at, feature.Float64(float64(i)))).arrow(t)
		header := p.header(content, 0)
		header.FileName = path
		load, err := p.send(p.admin, "flights", header, content, len(content))
		harmless(t, "a file "+path, err)
		if err == nil && load.GetFileName() != path {
			t.Errorf("found the file name %q, sent as %q", load.GetFileName(), path)
		}
		_, m, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{Name: path, AllowPartial: true}, spine)
		if harmless(t, "a dataset "+path, err); err == nil {
			t.Errorf("found a dataset called %q", m.GetName())
		}
		for _, ref := range []string{path, "ds_" + path, path + "@1", "../kept/" + path} {
			arrow, _, err := p.fetch(p.admin, ref)
			if harmless(t, "fetching "+ref, err); err == nil || len(arrow) > 0 {
				t.Errorf("fetching %q: found %d bytes", ref, len(arrow))
			}
			_, err = p.datasets.DeleteDataset(p.admin, &headwaterv1.DeleteDatasetRequest{Dataset: ref, Reason: "r"})
			if harmless(t, "deleting "+ref, err); err == nil {
				t.Errorf("deleted %q", ref)
			}
		}
	}
	_, m, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true}, spine)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.fetch(p.admin, m.GetId()); err != nil {
		t.Errorf("found %v", err)
	}
	for in, expected := range map[string]string{folder: "kept", folder + "/kept": m.GetId() + ".kept"} {
		entries, err := os.ReadDir(in)
		if err != nil || len(entries) != 1 || entries[0].Name() != expected {
			t.Errorf("found %v, %v in %s, expected %s", entries, err, in, expected)
		}
	}
}
