// Package access owns who may do what, and the record of who did: principals and what proves them (tokens, JWTs of an issuer,
// certificates), roles that are taken for a time, approvals of what others have made, roles compiled into a policy, decisions, and the audit log.
//
// It knows feature and internal packages, and no other slice: the roles in force are given to it (Policies), and the
// server asks for every decision through a Session that it puts into the call's context.
//
// Invariants: a decision is denied unless a grant allows it and none denies it; an error while deciding is a denial; and
// a decision is in the append log before anything is done about it, so a call that cannot be recorded is refused. An online read that
// is allowed is recorded with what it is given, before it is answered: by itself where policies were asked about it; of the others the first
// of a kind in a minute is, and those after it are counted there within a second. What is in
// headwater.audit_record is neither changed nor removed, but for whole days: records of a server are a chain by their hashes, and those
// of transactions have a witness in one. No
// secret is in a record, an error or a table: tokens are kept as hashes.
package access
