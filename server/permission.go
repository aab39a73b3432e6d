package server

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const ownPackage = "headwater.v1"

// exempt are services that are not ours and say nothing about what is stored. They take no token.
var exempt = map[string]bool{
	"grpc.health.v1.Health":                    true,
	"grpc.reflection.v1.ServerReflection":      true,
	"grpc.reflection.v1alpha.ServerReflection": true,
}

// isExempt reports whether a method, as /SERVICE/METHOD, is of an exempt service.
func isExempt(fullMethod string) bool {
	service, _, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	return exempt[service]
}

// methodRule is what a method's permission option asks for, ready to be followed without reflection on the options.
type methodRule struct {
	// method is /PACKAGE.SERVICE/METHOD.
	method string
	action access.Action
	// kind is empty when the handler decides.
	kind access.Kind
	// field is the request field that names the resources; empty: the kind as a whole, unless the handler decides.
	field string
	// names reads that field. It is nil when field is empty.
	names func(request any) []string
	// inHandler leaves the decision to the handler: all of it where there is no field, else of a call that names nothing in it.
	inHandler bool
}

// CheckMethods makes sure that each method of a server says what permission it needs: what grpc.Server.GetServiceInfo
// returns. Services that are neither ours nor known to be harmless are refused too. The error names each method that is
// wrong.
func CheckMethods(info map[string]grpc.ServiceInfo) error {
	var errs []error
	for _, service := range slices.Sorted(maps.Keys(info)) {
		if exempt[service] {
			continue
		}
		for _, m := range info[service].Methods {
			if _, err := ruleOf(protoreflect.FullName(service), m.Name); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// allRules are the rules of every method of our package, by /PACKAGE.SERVICE/METHOD.
func allRules() (map[string]*methodRule, error) {
	rules := map[string]*methodRule{}
	var errs []error
	protoregistry.GlobalFiles.RangeFilesByPackage(ownPackage, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				rule, err := ruleOf(service.FullName(), string(service.Methods().Get(j).Name()))
				if err != nil {
					errs = append(errs, err)
					continue
				}
				rules[rule.method] = rule
			}
		}
		return true
	})
	return rules, errors.Join(errs...)
}

func ruleOf(service protoreflect.FullName, method string) (*methodRule, error) {
	full := fmt.Sprintf("/%s/%s", service, method)
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(service.Append(protoreflect.Name(method)))
	if err != nil {
		return nil, fmt.Errorf("method %s has no descriptor, so its permission is not known: %w", full, err)
	}
	m, ok := descriptor.(protoreflect.MethodDescriptor)
	if !ok || service.Parent() != ownPackage {
		return nil, fmt.Errorf("method %s is not of package %s, and nothing says what permission it needs", full, ownPackage)
	}
	if !proto.HasExtension(m.Options(), headwaterv1.E_Permission) {
		return nil, fmt.Errorf("method %s has no option (headwater.v1.permission); without one nobody can be allowed to call it", full)
	}
	return compileRule(full, m.Input(), proto.GetExtension(m.Options(), headwaterv1.E_Permission).(*headwaterv1.Permission))
}

func compileRule(full string, input protoreflect.MessageDescriptor, p *headwaterv1.Permission) (*methodRule, error) {
	wrong := func(format string, args ...any) (*methodRule, error) {
		return nil, fmt.Errorf("the option (headwater.v1.permission) of method %s: %s", full, fmt.Sprintf(format, args...))
	}
	rule := &methodRule{
		method: full, action: actionOf(p.GetAction()), field: p.GetResourceField(), inHandler: p.GetDecidedInHandler(),
	}
	if !rule.action.Valid() {
		return wrong("found action %s, expected one that grants can name", p.GetAction())
	}
	if rule.inHandler && rule.field == "" {
		if p.GetResource() != 0 {
			return wrong("found a resource and decided_in_handler, expected one of the two, or with a resource_field")
		}
		return rule, nil
	}
	if rule.kind = kindOf(p.GetResource()); !rule.kind.Valid() {
		return wrong("found resource %s, expected a kind that grants can name, or decided_in_handler", p.GetResource())
	}
	if rule.field == "" {
		return rule, nil
	}
	field := input.Fields().ByName(protoreflect.Name(rule.field))
	if field == nil || field.Kind() != protoreflect.StringKind || field.IsMap() {
		return wrong("found resource_field %q, expected a field of %s that is a string or repeated strings", rule.field, input.FullName())
	}
	rule.names = namesIn(field)
	return rule, nil
}

// namesIn reads a field: by its getter where that is one of the two that online and training reads go through, else by
// reflection on a descriptor that is looked up once.
func namesIn(field protoreflect.FieldDescriptor) func(any) []string {
	if field.Name() == "service" && !field.IsList() {
		return func(request any) []string {
			if m, ok := request.(interface{ GetService() string }); ok {
				return nonEmpty(m.GetService())
			}
			return nil
		}
	}
	if field.IsList() {
		return func(request any) (names []string) {
			list := request.(proto.Message).ProtoReflect().Get(field).List()
			for i := range list.Len() {
				names = append(names, list.Get(i).String())
			}
			return names
		}
	}
	return func(request any) []string {
		return nonEmpty(request.(proto.Message).ProtoReflect().Get(field).String())
	}
}

func nonEmpty(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

const (
	actionPrefix = "ACTION_"
	kindPrefix   = "RESOURCE_KIND_"
)

func actionOf(a headwaterv1.Action) access.Action {
	return access.Action(strings.ToLower(strings.TrimPrefix(a.String(), actionPrefix)))
}

// protoAction is ACTION_UNSPECIFIED for an action that is not on the list, such as none.
func protoAction(a access.Action) headwaterv1.Action {
	return headwaterv1.Action(headwaterv1.Action_value[actionPrefix+strings.ToUpper(string(a))])
}

func kindOf(k headwaterv1.ResourceKind) access.Kind {
	return access.Kind(strings.ToLower(strings.TrimPrefix(k.String(), kindPrefix)))
}
