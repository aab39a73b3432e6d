package access

// Principal is who asks.
type Principal struct {
	Name string
	// Credential is the id of the token that proved it.
	Credential string
	// Roles as the token was given them. A role that is not defined grants nothing.
	Roles []string
	// ClientAddress is where the call came from, as HOST:PORT.
	ClientAddress string
}
