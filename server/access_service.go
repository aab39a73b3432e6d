package server

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/registry"
)

// AccessService serves tokens and the audit log. The Guard has decided before a handler runs.
type AccessService struct {
	headwaterv1.UnimplementedAccessServiceServer
	pool     *pgxpool.Pool
	policies access.Policies
	audit    *access.AuditLog
	secrets  *access.Secrets
	registry *registry.Registry
	served   *served
}

// NewAccessService makes the service. A token can be given the roles that are in force. Without a registry, nothing can be explained.
func NewAccessService(pool *pgxpool.Pool, policies access.Policies, audit *access.AuditLog, secrets *access.Secrets, registry *registry.Registry,
	served *served) *AccessService {
	return &AccessService{pool: pool, policies: policies, audit: audit, secrets: secrets, registry: registry, served: served}
}

// CreateToken makes a token. The secret is in the response and nowhere else.
func (s *AccessService) CreateToken(ctx context.Context, r *headwaterv1.CreateTokenRequest) (*headwaterv1.CreateTokenResponse, error) {
	token, secret, err := access.CreateToken(ctx, s.pool, access.NewToken{
		Principal: r.GetPrincipal(), Roles: r.GetRoles(), TTL: r.GetTtl().AsDuration(),
		Attributes: attributesOf(r.GetAttributes()), Scopes: r.GetScopes(), CreatedBy: access.PrincipalFrom(ctx).Name,
	}, s.policies().HasRole)
	if err != nil {
		return nil, err
	}
	return &headwaterv1.CreateTokenResponse{Token: tokenOf(token), Secret: secret}, nil
}

// ListTokens lists all tokens, the oldest first.
func (s *AccessService) ListTokens(ctx context.Context, _ *headwaterv1.ListTokensRequest) (*headwaterv1.ListTokensResponse, error) {
	tokens, err := access.ListTokens(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	response := &headwaterv1.ListTokensResponse{}
	for _, t := range tokens {
		response.Tokens = append(response.Tokens, tokenOf(t))
	}
	return response, nil
}

// RevokeToken ends a token within access.RevocationBound.
func (s *AccessService) RevokeToken(ctx context.Context, r *headwaterv1.RevokeTokenRequest) (*headwaterv1.RevokeTokenResponse, error) {
	token, err := access.RevokeToken(ctx, s.pool, r.GetId())
	if err != nil {
		return nil, err
	}
	return &headwaterv1.RevokeTokenResponse{Token: tokenOf(token)}, nil
}

// RotateMaskKey makes a new version of a key's secret, by which all servers hash within access.RotationBound.
func (s *AccessService) RotateMaskKey(ctx context.Context, r *headwaterv1.RotateMaskKeyRequest) (*headwaterv1.RotateMaskKeyResponse, error) {
	key, err := s.secrets.Rotate(ctx, r.GetName(), access.PrincipalFrom(ctx).Name)
	if err != nil {
		return nil, err
	}
	return &headwaterv1.RotateMaskKeyResponse{Key: maskKeyOf(key)}, nil
}

// ListMaskKeys lists the versions of all keys.
func (s *AccessService) ListMaskKeys(ctx context.Context, _ *headwaterv1.ListMaskKeysRequest) (*headwaterv1.ListMaskKeysResponse, error) {
	keys, err := s.secrets.List(ctx)
	if err != nil {
		return nil, err
	}
	response := &headwaterv1.ListMaskKeysResponse{}
	for _, k := range keys {
		response.Keys = append(response.Keys, maskKeyOf(k))
	}
	return response, nil
}

func maskKeyOf(k access.MaskKey) *headwaterv1.MaskKey {
	return &headwaterv1.MaskKey{Name: k.Name, Version: int32(k.Version), CreatedAt: timestamppb.New(k.CreatedAt), CreatedBy: k.CreatedBy}
}

// ListAuditRecords lists decisions, the newest last: this server's up to the one on this call, and of other servers what
// they have drained.
func (s *AccessService) ListAuditRecords(ctx context.Context, r *headwaterv1.ListAuditRecordsRequest) (*headwaterv1.ListAuditRecordsResponse, error) {
	filter := access.AuditFilter{Principal: r.GetPrincipal(), Resource: r.GetResource(), Limit: int(r.GetPageSize())}
	if r.GetSince() != nil {
		if !r.GetSince().IsValid() {
			return nil, errNoTime("since")
		}
		filter.Since = r.GetSince().AsTime()
	}
	if err := s.audit.Flush(ctx); err != nil {
		return nil, err
	}
	records, err := s.audit.List(ctx, filter)
	if err != nil {
		return nil, err
	}
	response := &headwaterv1.ListAuditRecordsResponse{}
	for i := range records {
		response.Records = append(response.Records, auditRecordOf(&records[i]))
	}
	return response, nil
}

// VerifyAudit looks for what does not hold of the audit records in Postgres, those of this server up to the one on this call.
func (s *AccessService) VerifyAudit(r *headwaterv1.VerifyAuditRequest, stream headwaterv1.AccessService_VerifyAuditServer) error {
	v := access.AuditVerification{Writer: r.GetWriter()}
	if r.GetSince() != nil {
		if !r.GetSince().IsValid() {
			return errNoTime("since")
		}
		v.Since = r.GetSince().AsTime()
	}
	if r.GetPublicKeys() != "" {
		var err error
		if v.Keys, err = access.ParseAuditPublicKeys([]byte(r.GetPublicKeys())); err != nil {
			return fault.New(fault.InvalidArgument, "public_keys: %v", err).Violating(fault.Violation{Field: "public_keys", Description: err.Error()})
		}
	}
	v.Problem = func(p access.AuditProblem) error {
		return stream.Send(&headwaterv1.VerifyAuditResponse{Event: &headwaterv1.VerifyAuditResponse_Problem{Problem: &headwaterv1.AuditProblem{
			Writer: p.Writer, Number: p.Number, Kind: p.Kind, Found: p.Found, Expected: p.Expected,
		}}})
	}
	v.Chain = func(c access.AuditChain) error {
		return stream.Send(&headwaterv1.VerifyAuditResponse{Event: &headwaterv1.VerifyAuditResponse_Chain{Chain: &headwaterv1.AuditChain{
			Writer: c.Writer, First: c.First, Last: c.Last, Records: c.Records, Checkpoints: c.Checkpoints, Problems: c.Problems,
			SignedTo: c.SignedTo, SignedAt: protoTime(c.SignedAt), KeyId: c.KeyID,
		}}})
	}
	v.Progress = func(done, total int64) error {
		return stream.Send(&headwaterv1.VerifyAuditResponse{Event: &headwaterv1.VerifyAuditResponse_Progress{
			Progress: &headwaterv1.AuditProgress{Records: done, Total: total},
		}})
	}
	return s.audit.Verify(stream.Context(), v)
}

// ListAuditKeys lists the public keys that servers have signed with.
func (s *AccessService) ListAuditKeys(ctx context.Context, _ *headwaterv1.ListAuditKeysRequest) (*headwaterv1.ListAuditKeysResponse, error) {
	keys, err := s.audit.Keys(ctx)
	if err != nil {
		return nil, err
	}
	response := &headwaterv1.ListAuditKeysResponse{}
	for _, k := range keys {
		response.Keys = append(response.Keys, &headwaterv1.AuditKey{Id: k.ID, PublicKey: k.PEM(), CreatedAt: timestamppb.New(k.Since)})
	}
	return response, nil
}

func tokenOf(t access.Token) *headwaterv1.Token {
	return &headwaterv1.Token{
		Id: t.ID, Principal: t.Principal, Roles: t.Roles, CreatedBy: t.CreatedBy,
		CreatedAt: timestamppb.New(t.CreatedAt), ExpiresAt: protoTime(t.ExpiresAt), RevokedAt: protoTime(t.RevokedAt),
		Attributes: protoAttributes(t.Attributes), Scopes: access.ScopeTexts(t.Scopes),
	}
}

func attributesOf(given map[string]*headwaterv1.AttributeValues) map[string][]string {
	attributes := make(map[string][]string, len(given))
	for name, values := range given {
		attributes[name] = values.GetValues()
	}
	return attributes
}

func protoAttributes(attributes map[string][]string) map[string]*headwaterv1.AttributeValues {
	given := make(map[string]*headwaterv1.AttributeValues, len(attributes))
	for name, values := range attributes {
		given[name] = &headwaterv1.AttributeValues{Values: values}
	}
	return given
}

func auditRecordOf(r *access.Record) *headwaterv1.AuditRecord {
	decision := headwaterv1.Decision_DECISION_DENIED
	if r.Decision == access.Allowed {
		decision = headwaterv1.Decision_DECISION_ALLOWED
	}
	out := &headwaterv1.AuditRecord{
		Writer: r.Writer, Number: r.Number, Time: timestamppb.New(r.Time), Principal: r.Principal, Credential: r.Credential,
		Roles: r.Roles, Method: r.Method, Action: protoAction(r.Action), Resource: r.Resource, Decision: decision,
		Reason: r.Reason, Purpose: r.Purpose, ClientAddress: r.ClientAddress, ReadId: r.ReadID,
		Calls: r.Calls, Entities: r.Entities, LastTime: protoTime(r.LastTime), LastReadId: r.LastReadID,
		RowsReturned: r.RowsReturned, RowsHidden: r.RowsHidden, EntitiesHash: r.EntitiesHash, AsOf: r.AsOf, Dataset: r.Dataset,
	}
	if e := r.Extent; e != nil {
		out.ResourceVersion, out.Asked, out.Returned, out.Masked, out.FilteredBy = e.ResourceVersion, e.Asked, e.Returned, e.Masked, e.FilteredBy
		out.SourceColumns, out.PolicyVersion, out.Rules, out.Use = e.SourceColumns, e.PolicyVersion, e.Rules, e.Use
		if len(e.Attributes) > 0 {
			out.Attributes = protoAttributes(e.Attributes)
		}
	}
	return out
}

// protoTime is absent for a zero time.
func protoTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
