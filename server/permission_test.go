package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func TestCheckMethods(t *testing.T) {
	server := grpc.NewServer()
	headwaterv1.RegisterOnlineServiceServer(server, headwaterv1.UnimplementedOnlineServiceServer{})
	info := server.GetServiceInfo()
	if err := CheckMethods(info); err != nil {
		t.Fatal(err)
	}
	service := func(methods ...string) grpc.ServiceInfo {
		var s grpc.ServiceInfo
		for _, m := range methods {
			s.Methods = append(s.Methods, grpc.MethodInfo{Name: m})
		}
		return s
	}
	info["grpc.health.v1.Health"] = service("Check")
	info["grpc.reflection.v1.ServerReflection"] = service("ServerReflectionInfo")
	if err := CheckMethods(info); err != nil {
		t.Errorf("health and reflection: %v", err)
	}
	info["headwater.v1.OnlineService"] = service("GetFeatures", "Peek")
	info["headwater.v1.SecretService"] = service("Get")
	info["grpc.channelz.v1.Channelz"] = service("GetServers")
	err := CheckMethods(info)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"method /grpc.channelz.v1.Channelz/GetServers ",
		"method /headwater.v1.OnlineService/Peek has no descriptor, so its permission is not known",
		"method /headwater.v1.SecretService/Get has no descriptor, so its permission is not known",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	if strings.Contains(err.Error(), "GetFeatures") {
		t.Errorf("a good method is named: %v", err)
	}
}

func TestOptionsThatCannotBeMeant(t *testing.T) {
	const (
		list    = headwaterv1.Action_ACTION_LIST
		service = headwaterv1.ResourceKind_RESOURCE_KIND_SERVICE
	)
	input := (&headwaterv1.GetFeaturesRequest{}).ProtoReflect().Descriptor()
	for want, p := range map[string]*headwaterv1.Permission{
		"found action ACTION_UNSPECIFIED, expected one that grants can name":                                    {Resource: service},
		"found action 99, expected one that grants can name":                                                    {Action: 99, Resource: service},
		"found resource RESOURCE_KIND_UNSPECIFIED, expected a kind that grants can name, or decided_in_handler": {Action: list},
		"found a resource and decided_in_handler, expected one of the two, or with a resource_field":            {Action: list, Resource: service, DecidedInHandler: true},
		`found resource_field "nosuch", expected a field of headwater.v1.GetFeaturesRequest that is a string or repeated strings`: {
			Action: list, Resource: service, ResourceField: "nosuch",
		},
		`found resource_field "keys", expected a field of headwater.v1.GetFeaturesRequest that is a string or repeated strings`: {
			Action: list, Resource: service, ResourceField: "keys",
		},
	} {
		_, err := compileRule("/headwater.v1.S/M", input, p)
		if want = "the option (headwater.v1.permission) of method /headwater.v1.S/M: " + want; err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestNamesOfResources(t *testing.T) {
	for _, c := range []struct {
		request protoreflect.ProtoMessage
		field   protoreflect.Name
		want    string
	}{
		{&headwaterv1.GetFeaturesRequest{Service: "s"}, "service", "s"},
		{&headwaterv1.GetFeaturesRequest{}, "service", ""},
		{&headwaterv1.IngestRequest{Source: "flights"}, "source", "flights"},
		{&headwaterv1.IngestRequest{}, "source", ""},
		{&headwaterv1.MaterializeRequest{Views: []string{"a", "", "b@2"}}, "views", "a||b@2"},
		{&headwaterv1.MaterializeRequest{}, "views", ""},
	} {
		field := c.request.ProtoReflect().Descriptor().Fields().ByName(c.field)
		if got := strings.Join(namesIn(field)(c.request), "|"); got != c.want {
			t.Errorf("%T.%s: got %q, want %q", c.request, c.field, got, c.want)
		}
	}
}

func TestEnumsAreGrantWords(t *testing.T) {
	for number, name := range headwaterv1.Action_name {
		a := actionOf(headwaterv1.Action(number))
		if a.Valid() != (number != 0) {
			t.Errorf("%s is the action %q, valid: %t", name, a, a.Valid())
		}
		if number != 0 && protoAction(a) != headwaterv1.Action(number) {
			t.Errorf("%s does not come back: %s", name, protoAction(a))
		}
	}
	if protoAction("") != headwaterv1.Action_ACTION_UNSPECIFIED {
		t.Error("no action is not ACTION_UNSPECIFIED")
	}
	for number, name := range headwaterv1.ResourceKind_name {
		if k := kindOf(headwaterv1.ResourceKind(number)); k.Valid() != (number != 0) {
			t.Errorf("%s is the kind %q, valid: %t", name, k, k.Valid())
		}
	}
}
