package access

import (
	"context"
)

// loosens says of each kind of rule why it takes more than to register to change it.
var loosens = map[Kind]string{
	KindRole:    "who changes a role gives and takes what it likes",
	KindPolicy:  "who changes or removes a policy may show what it hides",
	KindView:    "what the gates of a view hold back is given out without them",
	KindService: "what the gates and labels of a service hold back is given out without them",
	KindTag:     "rules go by the tag, and who takes it off or puts it on changes what they do",
}

// RequireLoosen is Require of administer for a role, a policy, a tag or what has gates that is about to be changed in a way by which somebody may do or
// see more.
func RequireLoosen(ctx context.Context, kind Kind, name string) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	v := s.decide(ActionAdminister, kind, name)
	if !v.Allowed {
		v.Reason = loosens[kind] + ": " + v.Reason
	}
	return s.settle(ActionAdminister, resource(kind, name), v)
}
