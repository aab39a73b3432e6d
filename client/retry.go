package client

import (
	"encoding/json"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// A read is tried up to attempts times while the server is away or refuses it. A server that says when to try again
// (`grpc-retry-pushback-ms`, beside RetryInfo) is asked then and not before, and one that says not to is not.
//
// The budget bounds what that adds to the load of servers that are in trouble: five reads that failed in a row end all further
// tries until others succeed, and in the long run one try in ten may be a repetition.
const (
	attempts          = 4
	firstBackoff      = "0.05s"
	mostBackoff       = "1s"
	backoffMultiplier = 2
	budgetTokens      = 10
	budgetRatio       = 0.1
)

type (
	methodName struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	retryPolicy struct {
		MaxAttempts          int      `json:"maxAttempts"`
		InitialBackoff       string   `json:"initialBackoff"`
		MaxBackoff           string   `json:"maxBackoff"`
		BackoffMultiplier    float64  `json:"backoffMultiplier"`
		RetryableStatusCodes []string `json:"retryableStatusCodes"`
	}
	methodConfig struct {
		Name        []methodName `json:"name"`
		RetryPolicy retryPolicy  `json:"retryPolicy"`
	}
	retryThrottling struct {
		MaxTokens  float64 `json:"maxTokens"`
		TokenRatio float64 `json:"tokenRatio"`
	}
	// serviceConfig is gRPC's: https://github.com/grpc/grpc/blob/master/doc/service_config.md.
	serviceConfig struct {
		LoadBalancing []map[string]struct{} `json:"loadBalancingConfig"`
		Methods       []methodConfig        `json:"methodConfig,omitempty"`
		Throttling    *retryThrottling      `json:"retryThrottling,omitempty"`
	}
)

// serviceConfigOf spreads calls over the addresses that the server's name has, and tries those again that change nothing.
func serviceConfigOf(o Options) string {
	c := serviceConfig{LoadBalancing: []map[string]struct{}{{"round_robin": {}}}}
	if !o.NoRetries {
		c.Throttling = &retryThrottling{MaxTokens: budgetTokens, TokenRatio: budgetRatio}
		c.Methods = []methodConfig{{Name: readMethods(), RetryPolicy: retryPolicy{
			MaxAttempts: attempts, InitialBackoff: firstBackoff, MaxBackoff: mostBackoff, BackoffMultiplier: backoffMultiplier,
			RetryableStatusCodes: []string{"UNAVAILABLE", "RESOURCE_EXHAUSTED"},
		}}}
	}
	b, err := json.Marshal(c)
	if err != nil {
		// Nothing in it can fail to be written.
		panic(err)
	}
	return string(b)
}

// readMethods are those that the contract says have no side effects.
func readMethods() (names []methodName) {
	pkg := headwaterv1.File_headwater_v1_online_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(pkg, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for m := range service.Methods().Len() {
				method := service.Methods().Get(m)
				options, _ := method.Options().(*descriptorpb.MethodOptions)
				if options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
					names = append(names, methodName{string(service.FullName()), string(method.Name())})
				}
			}
		}
		return true
	})
	return names
}

// isRead reports whether a method, as `/SERVICE/METHOD`, is an online read.
func isRead(method string) bool {
	return method == headwaterv1.OnlineService_GetFeatures_FullMethodName
}
