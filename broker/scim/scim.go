// Package scim is a SCIM 2.0 server (RFC 7643, RFC 7644): identity providers such as Entra ID or Okta tell it who joins and who leaves.
//
// The broker serves it over HTTPS on a port of its own. A client shows a bearer token that an administrator made (Tokens); each change that it makes is one update
// of the store with a record of the act, in the token's name. Users become people of the source "scim" through package roster, which decides what a source may do; a
// group gives the people in it a role. A user that is set inactive is suspended at once, one that is deleted has left.
//
// A user's id is the person's stable ID, taken from userName, externalId or the enterprise extension's employeeNumber when the user is made, and it never changes
// after that, whatever becomes of the userName. Attributes that Tapline has no use for are kept and given back; a password is never kept.
//
// It answers what RFC 7644 calls for without bulk, sorting and changing passwords: /Users, /Groups with filters, pages, PATCH and ETags, and the three
// endpoints of discovery. It never touches people of another source, and gives no badge to anybody.
//
// It is the home of elimity-com/scim, which has the schemas and reads filters and paths.
package scim

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/elimity-com/scim"
	"github.com/elimity-com/scim/schema"
	"go.uber.org/zap"

	"tapline/broker/roster"
	"tapline/broker/store"
)

// Config is how users become people.
type Config struct {
	// PersonID is the attribute that a person's ID is taken from: "user-name", "external-id" or "employee-number".
	PersonID string
	// Groups gives roles by the names of groups. If it is empty a group's name is the role; else a group that is not in it gives none.
	Groups map[string]string
}

// The attributes that a person's ID may be taken from.
const (
	ByUserName       = "user-name"
	ByExternalID     = "external-id"
	ByEmployeeNumber = "employee-number"
)

// Check says what is wrong.
func (c Config) Check() error {
	if !slices.Contains([]string{ByUserName, ByExternalID, ByEmployeeNumber}, c.PersonID) {
		return fmt.Errorf("person_id %q: want %s, %s or %s", c.PersonID, ByUserName, ByExternalID, ByEmployeeNumber)
	}
	for group, role := range c.Groups {
		if group == "" || role == "" {
			return fmt.Errorf("groups: %q gives the role %q; both need a name", group, role)
		}
	}
	return nil
}

// Limits.
const (
	MaxBody    = 1 << 20
	maxResults = 200
	atOnce     = 16 // requests that are served at once
	maxMembers = 20_000
)

// Server answers SCIM requests. New makes one.
type Server struct {
	Roster roster.Writer // its Office is the server's too
	Config Config
	Log    *zap.Logger

	slots   chan struct{}
	library scim.Server
}

// New makes a server.
func New(w roster.Writer, c Config, log *zap.Logger) (*Server, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("scim: %w", err)
	}
	s := &Server{Roster: w, Config: c, Log: log, slots: make(chan struct{}, atOnce)}
	var err error
	s.library, err = scim.NewServer(&scim.ServerArgs{
		ServiceProviderConfig: &scim.ServiceProviderConfig{MaxResults: maxResults, SupportFiltering: true, SupportPatch: true},
		ResourceTypes: []scim.ResourceType{
			{
				Name: "User", Endpoint: "/Users", Schema: schema.CoreUserSchema(),
				SchemaExtensions: []scim.SchemaExtension{{Schema: schema.ExtensionEnterpriseUser()}}, Handler: users{s},
			},
			{Name: "Group", Endpoint: "/Groups", Schema: schema.CoreGroupSchema(), Handler: groups{s}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("scim: %w", err)
	}
	return s, nil
}

func (s *Server) now() time.Time { return s.Roster.Now() }

// view reads the store for a request.
func (s *Server) view(r *http.Request, read func(*store.Tx) error) error {
	return s.Roster.View(r.Context(), read)
}
