package registry

import (
	"encoding/json"
	"fmt"

	"github.com/headwaterhq/headwater/feature"
)

// storedAnalysis is headwater.definition.analysis.
type storedAnalysis struct {
	Inputs    []storedInput       `json:"inputs"`
	Uses      map[string][]string `json:"uses"`
	Functions []storedFunction    `json:"functions,omitempty"`
}

type storedInput struct {
	Column      string `json:"column"`
	Kind        string `json:"kind"`
	Relation    string `json:"relation"`
	InputColumn string `json:"input_column"`
}

type storedFunction struct {
	Function string `json:"function"`
	// Body is the digest, in hex.
	Body string `json:"body"`
}

func encodeAnalysis(a *feature.Analysis) ([]byte, error) {
	s := storedAnalysis{Inputs: []storedInput{}, Uses: map[string][]string{}}
	for _, in := range a.Inputs {
		s.Inputs = append(s.Inputs, storedInput{in.Column, in.Kind.String(), in.Relation, in.InputColumn})
	}
	for relation, columns := range a.Uses {
		// An empty list says that only rows are counted, which null would not.
		s.Uses[relation] = append([]string{}, columns...)
	}
	for _, f := range a.Functions {
		s.Functions = append(s.Functions, storedFunction{f.Function, f.Body.String()})
	}
	return json.Marshal(s)
}

func decodeAnalysis(encoded []byte) (*feature.Analysis, error) {
	var s storedAnalysis
	if err := json.Unmarshal(encoded, &s); err != nil {
		return nil, err
	}
	a := &feature.Analysis{Uses: s.Uses}
	for _, in := range s.Inputs {
		kind, ok := inputKinds[in.Kind]
		if !ok {
			return nil, fmt.Errorf("found an input of kind %q", in.Kind)
		}
		a.Inputs = append(a.Inputs, feature.ColumnInput{Column: in.Column, Kind: kind, Relation: in.Relation, InputColumn: in.InputColumn})
	}
	for _, f := range s.Functions {
		body, err := feature.ParseDigest(f.Body)
		if err != nil {
			return nil, err
		}
		a.Functions = append(a.Functions, feature.FunctionBody{Function: f.Function, Body: body})
	}
	return a, nil
}

var inputKinds = func() map[string]feature.InputKind {
	kinds := map[string]feature.InputKind{}
	for k := feature.InputValue; k <= feature.InputOrder; k++ {
		kinds[k.String()] = k
	}
	return kinds
}()
