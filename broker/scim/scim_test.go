package scim_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tapline/broker/acts"
	"tapline/broker/identity"
	"tapline/broker/office"
	"tapline/broker/roster"
	"tapline/broker/scim"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// plant is a SCIM server over real HTTP, and a client with a token.
type plant struct {
	testing.TB
	store  *store.Store
	url    string
	secret string
	at     time.Time
}

func newPlant(t testing.TB, c scim.Config) *plant {
	t.Helper()
	p := &plant{TB: t, at: time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)}
	var err error
	p.store, err = store.OpenSQLite(t.TempDir())
	p.must(err)
	t.Cleanup(func() { p.must(p.store.Close()) })
	p.must(p.store.Migrate(t.Context()))
	v, err := vault.New(make([]byte, vault.KeySize))
	p.must(err)
	evidence, err := identity.LoadEvidence(t.Context(), p.store, v, p.at)
	p.must(err)
	now := func() time.Time { return p.at }
	log, err := acts.Open(t.Context(), p.store, v, evidence, "plant", now)
	p.must(err)
	s, err := scim.New(roster.Writer{Office: office.Office{Store: p.store, Acts: log, Now: now}, Changed: func() {}}, c, zap.NewNop())
	p.must(err)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	p.url = server.URL + "/v2"
	p.secret = p.token("entra", time.Hour)
	return p
}

func (p *plant) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *plant) token(name string, life time.Duration) string {
	p.Helper()
	secret := ""
	p.must(p.store.Update(p.Context(), func(tx *store.Tx) (err error) {
		_, secret, err = scim.NewToken(tx, name, "olga", life, p.at)
		return err
	}))
	return secret
}

// reply is an answer, its body read as JSON.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

// get walks into the body: get("name", "givenName"), get("Resources", 0, "id").
func (r reply) get(path ...any) any {
	var v any = r.body
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			list, _ := v.([]any)
			if s >= len(list) {
				return nil
			}
			v = list[s]
		}
	}
	return v
}

// do sends a request. Headers are pairs of name and value.
func (p *plant) do(method, path, body string, headers ...string) reply {
	p.Helper()
	req, err := http.NewRequestWithContext(p.Context(), method, p.url+path, strings.NewReader(body))
	p.must(err)
	req.Header.Set("Authorization", "Bearer "+p.secret)
	req.Header.Set("Content-Type", "application/scim+json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	p.must(err)
	raw, err := io.ReadAll(resp.Body)
	p.must(err)
	p.must(resp.Body.Close())
	r := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &r.body); err != nil {
			p.Fatalf("%s %s: %d with a body that is no JSON: %s", method, path, r.status, raw)
		}
	}
	return r
}

// wants fails the test unless the status is the one that is wanted.
func (p *plant) wants(status int, r reply) reply {
	p.Helper()
	if r.status != status {
		p.Fatalf("got %d, want %d: %s", r.status, status, r.raw)
	}
	return r
}

func (p *plant) person(id record.PersonID) *taplinev1.PersonEntry {
	p.Helper()
	var e *taplinev1.PersonEntry
	p.must(p.store.View(p.Context(), func(tx *store.Tx) (err error) {
		e, err = tx.Person(id)
		return err
	}))
	return e
}

func (p *plant) hasRoles(id record.PersonID, want ...string) {
	p.Helper()
	if got := p.person(id).GetRoles(); !slices.Equal(got, want) {
		p.Errorf("%s has the roles %v, want %v", id, got, want)
	}
}

func byUserName() scim.Config { return scim.Config{PersonID: scim.ByUserName} }

const (
	userSchema  = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`
	groupSchema = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`
	patchSchema = `"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]`
)

// anna makes Anna as a client does, and gives her id.
func (p *plant) anna() string {
	p.Helper()
	r := p.wants(http.StatusCreated, p.do("POST", "/Users", `{`+userSchema+`,"userName":"anna@plant.example","externalId":"e-1","displayName":"Anna B.","active":true}`))
	return r.get("id").(string)
}

func TestWithoutAGoodTokenNothingOpens(t *testing.T) {
	p := newPlant(t, byUserName())
	good := p.secret
	late, revoked := p.token("late", time.Minute), p.token("revoked", time.Hour)
	p.must(p.store.Update(t.Context(), func(tx *store.Tx) error {
		hash := sha256.Sum256([]byte(revoked))
		token, err := tx.ScimTokenByHash(hash[:])
		if err != nil {
			return err
		}
		return tx.RevokeScimToken(token.ID, p.at)
	}))
	p.at = p.at.Add(2 * time.Minute)
	for says, secret := range map[string]string{"none": "", "a wrong one": good + "x", "one that has ended": late, "one that was revoked": revoked} {
		p.secret = secret
		for _, path := range []string{"/Users", "/ServiceProviderConfig", "/nothing"} {
			r := p.wants(http.StatusUnauthorized, p.do("GET", path, ""))
			if r.get("schemas", 0) != "urn:ietf:params:scim:api:messages:2.0:Error" || r.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %s", says, r.raw)
			}
		}
	}
	p.secret = good
	p.wants(http.StatusOK, p.do("GET", "/Users", ""))
}

func TestWhatTheServerCanDoIsTold(t *testing.T) {
	p := newPlant(t, byUserName())
	r := p.wants(http.StatusOK, p.do("GET", "/ServiceProviderConfig", ""))
	if r.get("patch", "supported") != true || r.get("etag", "supported") != true || r.get("bulk", "supported") != false || r.get("filter", "supported") != true {
		t.Error(r.raw)
	}
	if r := p.wants(http.StatusOK, p.do("GET", "/Schemas", "")); r.get("totalResults").(float64) < 3 {
		t.Error(r.raw)
	}
	if r := p.wants(http.StatusOK, p.do("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "")); r.get("name") != "User" {
		t.Error(r.raw)
	}
	if r := p.wants(http.StatusOK, p.do("GET", "/ResourceTypes", "")); r.get("totalResults") != 2.0 {
		t.Error(r.raw)
	}
}

// TestEntraID walks through what Entra ID's provisioning documents as its requests: it looks first, sends booleans as text, and names members to remove.
func TestEntraID(t *testing.T) {
	p := newPlant(t, scim.Config{PersonID: scim.ByEmployeeNumber, Groups: map[string]string{"TAP Operators": "operator", "TAP Setters": "setter"}})
	r := p.wants(http.StatusOK, p.do("GET", `/Users?filter=userName+eq+%22anna%40plant.example%22`, ""))
	if r.get("totalResults") != 0.0 {
		t.Error(r.raw)
	}
	const extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	r = p.wants(http.StatusCreated, p.do("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","`+extension+`"],
		"externalId":"anna","userName":"Anna@plant.example","active":"True","displayName":"Anna B.","password":"hunter2",
		"emails":[{"primary":"True","type":"work","value":"anna@plant.example"}],"meta":{"resourceType":"User"},
		"name":{"formatted":"Anna Berg","familyName":"Berg","givenName":"Anna"},"title":"Operator","preferredLanguage":"de-DE",
		"`+extension+`":{"employeeNumber":"1001","department":"Press"}}`))
	if r.get("id") != "1001" || r.get("active") != true || r.get("emails", 0, "primary") != true || strings.Contains(r.raw, "hunter2") || r.header.Get("Location") == "" {
		t.Error(r.raw)
	}
	if e := p.person("1001"); e.GetDisplayName() != "Anna B." || e.GetLanguage() != "de-DE" || e.GetSource() != "scim" || e.GetSuspended() {
		t.Errorf("got %v", e)
	}
	r = p.wants(http.StatusOK, p.do("GET", `/Users?filter=userName+eq+%22anna%40PLANT.example%22`, ""))
	if r.get("Resources", 0, "id") != "1001" || r.get("itemsPerPage") == nil {
		t.Error(r.raw)
	}
	r = p.wants(http.StatusOK, p.do("PATCH", "/Users/1001", `{`+patchSchema+`,"Operations":[
		{"op":"Replace","path":"displayName","value":"Anna C."},{"op":"Replace","path":"emails[type eq \"work\"].value","value":"c@plant.example"},
		{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"+49 1"},
		{"op":"Replace","path":"name.familyName","value":"Claus"},{"op":"Add","path":"`+extension+`:department","value":"Packing"}]}`))
	if r.get("displayName") != "Anna C." || r.get("emails", 0, "value") != "c@plant.example" || r.get("name", "familyName") != "Claus" ||
		r.get(extension, "department") != "Packing" || r.get("phoneNumbers", 0, "type") != "mobile" {
		t.Error(r.raw)
	}
	ops := p.wants(http.StatusCreated, p.do("POST", "/Groups", `{`+groupSchema+`,"externalId":"g-1","displayName":"TAP Operators"}`)).get("id").(string)
	other := p.wants(http.StatusCreated, p.do("POST", "/Groups", `{`+groupSchema+`,"displayName":"Sales"}`)).get("id").(string)
	for _, id := range []string{ops, other} {
		p.wants(http.StatusOK, p.do("PATCH", "/Groups/"+id, `{`+patchSchema+`,"Operations":[{"op":"Add","path":"members","value":[{"value":"1001"}]}]}`))
	}
	p.hasRoles("1001", "operator")
	r = p.wants(http.StatusOK, p.do("GET", "/Groups/"+ops+"?excludedAttributes=members", ""))
	if r.get("members") != nil || r.get("displayName") != "TAP Operators" {
		t.Error(r.raw)
	}
	r = p.wants(http.StatusOK, p.do("GET", "/Users/1001", ""))
	if r.get("groups", 0, "display") == nil || r.get("groups", 1) == nil {
		t.Error(r.raw)
	}
	p.wants(http.StatusOK, p.do("PATCH", "/Groups/"+ops, `{`+patchSchema+`,"Operations":[{"op":"Replace","value":{"displayName":"TAP Setters"}}]}`))
	p.hasRoles("1001", "setter")
	p.wants(http.StatusOK, p.do("PATCH", "/Groups/"+ops, `{`+patchSchema+`,"Operations":[{"op":"Remove","path":"members","value":[{"value":"1001"}]}]}`))
	p.hasRoles("1001")
	r = p.wants(http.StatusOK, p.do("PATCH", "/Users/1001", `{`+patchSchema+`,"Operations":[{"op":"Replace","path":"active","value":"False"}]}`))
	if r.get("active") != false || !p.person("1001").GetSuspended() {
		t.Errorf("%s\n%v", r.raw, p.person("1001"))
	}
	p.wants(http.StatusNoContent, p.do("DELETE", "/Users/1001", ""))
	p.wants(http.StatusNotFound, p.do("GET", "/Users/1001", ""))
	if e := p.person("1001"); e.GetLeftAt() == nil || !e.GetSuspended() {
		t.Errorf("got %v", e)
	}
}

// TestOkta walks through what Okta documents as its requests: it replaces users whole, deactivates by a patch without a path, and replaces members.
func TestOkta(t *testing.T) {
	p := newPlant(t, byUserName())
	p.wants(http.StatusOK, p.do("GET", `/Users?filter=userName%20eq%20%22ben%22&startIndex=1&count=100`, ""))
	p.wants(http.StatusCreated, p.do("POST", "/Users", `{`+userSchema+`,"userName":"ben","name":{"givenName":"Ben","familyName":"Cole"},
		"emails":[{"primary":true,"value":"ben@plant.example","type":"work"}],"displayName":"Ben Cole","locale":"en-US","externalId":"00u1","groups":[],"password":"x","active":true}`))
	r := p.wants(http.StatusOK, p.do("PUT", "/Users/ben", `{`+userSchema+`,"id":"ben","userName":"ben","name":{"givenName":"Ben","familyName":"Coal"},"active":true,
		"groups":[],"meta":{"resourceType":"User"}}`))
	if r.get("name", "familyName") != "Coal" || r.get("emails") != nil || p.person("ben").GetDisplayName() != "Ben Coal" {
		t.Error(r.raw)
	}
	g := p.wants(http.StatusCreated, p.do("POST", "/Groups", `{`+groupSchema+`,"displayName":"operator","members":[{"value":"ben","display":"Ben"}]}`)).get("id").(string)
	p.hasRoles("ben", "operator")
	p.wants(http.StatusOK, p.do("PATCH", "/Groups/"+g, `{`+patchSchema+`,"Operations":[{"op":"replace","value":{"id":"`+g+`","displayName":"setter"}}]}`))
	p.hasRoles("ben", "setter")
	p.wants(http.StatusOK, p.do("PATCH", "/Groups/"+g, `{`+patchSchema+`,"Operations":[{"op":"remove","path":"members[value eq \"ben\"]"}]}`))
	p.hasRoles("ben")
	p.wants(http.StatusOK, p.do("PATCH", "/Groups/"+g, `{`+patchSchema+`,"Operations":[{"op":"replace","path":"members","value":[{"value":"ben"}]}]}`))
	p.hasRoles("ben", "setter")
	p.wants(http.StatusNoContent, p.do("DELETE", "/Groups/"+g, ""))
	p.hasRoles("ben")
	p.wants(http.StatusOK, p.do("PATCH", "/Users/ben", `{`+patchSchema+`,"Operations":[{"op":"replace","value":{"active":false}}]}`))
	if !p.person("ben").GetSuspended() {
		t.Error("who was deactivated is not suspended")
	}
	p.wants(http.StatusOK, p.do("PATCH", "/Users/ben", `{`+patchSchema+`,"Operations":[{"op":"replace","value":{"active":true}}]}`))
	if p.person("ben").GetSuspended() {
		t.Error("who was activated again is still suspended")
	}
}

func TestWhatIsWrongIsSaidInSCIMsForm(t *testing.T) {
	p := newPlant(t, byUserName())
	p.anna()
	p.must(p.store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutPerson(&taplinev1.PersonEntry{Id: "boss", Source: "local"})
		return err
	}))
	patch := func(op string) string { return `{` + patchSchema + `,"Operations":[` + op + `]}` }
	for says, row := range map[string]struct {
		method, path, body string
		status             int
		kind               string
	}{
		"no JSON":                        {"POST", "/Users", "{", 400, "invalidSyntax"},
		"something behind the JSON":      {"POST", "/Users", "{} {}", 400, "invalidSyntax"},
		"a list":                         {"POST", "/Users", "[]", 400, "invalidSyntax"},
		"no userName":                    {"POST", "/Users", `{` + userSchema + `,"displayName":"X"}`, 400, "invalidValue"},
		"an ID that is none":             {"POST", "/Users", `{` + userSchema + `,"userName":"Anna Berg"}`, 400, "invalidValue"},
		"a name that drives a terminal":  {"POST", "/Users", `{` + userSchema + `,"userName":"x","displayName":"\u001b[2J"}`, 400, "invalidValue"},
		"a user that is there":           {"POST", "/Users", `{` + userSchema + `,"userName":"anna@plant.example"}`, 409, "uniqueness"},
		"a user that is there, in caps":  {"POST", "/Users", `{` + userSchema + `,"userName":"ANNA@plant.example"}`, 409, "uniqueness"},
		"somebody of an administrator":   {"POST", "/Users", `{` + userSchema + `,"userName":"boss"}`, 409, "uniqueness"},
		"a user that is not there":       {"GET", "/Users/nobody", "", 404, ""},
		"to delete one who is not there": {"DELETE", "/Users/nobody", "", 404, ""},
		"a group that is not there":      {"PUT", "/Groups/nothing", `{` + groupSchema + `,"displayName":"x"}`, 404, ""},
		"a member that is not there":     {"POST", "/Groups", `{` + groupSchema + `,"displayName":"x","members":[{"value":"nobody"}]}`, 400, "invalidValue"},
		"a filter that is none":          {"GET", "/Users?filter=userName+is+x", "", 400, "invalidFilter"},
		"a filter of another attribute":  {"GET", "/Users?filter=shoeSize+eq+42", "", 400, "invalidFilter"},
		"a filter that is too deep":      {"GET", "/Users?filter=" + strings.Repeat("(", 2000) + "a", "", 400, "invalidFilter"},
		"a search that is too deep":      {"POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"` + strings.Repeat("(", 1<<19) + `a"}`, 400, "invalidSyntax"},
		"a path that is too deep":        {"PATCH", "/Users/anna@plant.example", patch(`{"op":"add","path":"emails[` + strings.Repeat("(", 900) + `","value":"x"}`), 400, "invalidSyntax"},
		"a name that is too deep":        {"PATCH", "/Users/anna@plant.example", patch(`{"op":"add","value":{"emails[` + strings.Repeat("not(", 1<<17) + `":"x"}}`), 400, "invalidSyntax"},
		"a count that is none":           {"GET", "/Users?count=many", "", 400, "invalidValue"},
		"a patch of nothing":             {"PATCH", "/Users/anna@plant.example", patch(""), 400, "invalidValue"},
		"a patch of another attribute":   {"PATCH", "/Users/anna@plant.example", patch(`{"op":"replace","path":"shoeSize","value":"42"}`), 400, "invalidPath"},
		"a patch with another verb":      {"PATCH", "/Users/anna@plant.example", patch(`{"op":"move","path":"title","value":"x"}`), 400, "invalidValue"},
		"an active that is no boolean":   {"PATCH", "/Users/anna@plant.example", patch(`{"op":"replace","path":"active","value":"maybe"}`), 400, "invalidValue"},
		"a removal without a path":       {"PATCH", "/Users/anna@plant.example", patch(`{"op":"remove"}`), 400, "noTarget"},
		"another endpoint":               {"GET", "/Printers", "", 404, ""},
		"who am I":                       {"GET", "/Me", "", 501, ""},
		"a body that is too large":       {"POST", "/Users", `{"x":"` + strings.Repeat("x", scim.MaxBody) + `"}`, 413, ""},
	} {
		t.Run(says, func(t *testing.T) {
			r := p.do(row.method, row.path, row.body)
			kind, _ := r.get("scimType").(string)
			if r.status != row.status || kind != row.kind && row.kind != "invalidValue" || r.get("schemas", 0) != "urn:ietf:params:scim:api:messages:2.0:Error" ||
				r.get("status") != fmt.Sprint(row.status) {
				t.Errorf("got %d: %s, want %d %s", r.status, r.raw, row.status, row.kind)
			}
		})
	}
}

func TestFiltersAndPages(t *testing.T) {
	p := newPlant(t, byUserName())
	for i := range 25 {
		p.wants(http.StatusCreated, p.do("POST", "/Users", fmt.Sprintf(`{%s,"userName":"u-%02d","externalId":"e-%02d","active":%t}`, userSchema, i, i, i%2 == 0)))
	}
	count := func(filter string) float64 {
		r := p.wants(http.StatusOK, p.do("GET", "/Users?filter="+strings.NewReplacer(" ", "%20", `"`, "%22").Replace(filter), ""))
		return r.get("totalResults").(float64)
	}
	for filter, want := range map[string]float64{
		`userName eq "u-07"`: 1, `externalId eq "e-07"`: 1, `externalId eq "E-07"`: 0, `id eq "u-07"`: 1, `userName sw "u-1"`: 10, `active eq false`: 12,
		`userName sw "u-1" and active eq true`: 5, `not (active eq true)`: 12, `userName eq "u-01" or userName eq "u-02"`: 2, `displayName pr`: 0, `title eq "x"`: 0,
	} {
		if got := count(filter); got != want {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
	seen := map[any]bool{}
	for start := 1; start <= 25; start += 10 {
		r := p.wants(http.StatusOK, p.do("GET", fmt.Sprintf("/Users?startIndex=%d&count=10&attributes=userName", start), ""))
		if r.get("totalResults") != 25.0 || r.get("startIndex") != float64(start) {
			t.Error(r.raw)
		}
		for i := range 10 {
			if u := r.get("Resources", i); u != nil {
				seen[r.get("Resources", i, "id")] = true
				if r.get("Resources", i, "active") != nil || r.get("Resources", i, "userName") == nil {
					t.Error(r.raw)
				}
			}
		}
	}
	if len(seen) != 25 {
		t.Errorf("%d users in the pages, want 25", len(seen))
	}
	for _, q := range []string{"startIndex=999", "count=0", "startIndex=-5&count=-1"} {
		if r := p.wants(http.StatusOK, p.do("GET", "/Users?"+q, "")); r.get("totalResults") != 25.0 || r.get("Resources", 0) != nil {
			t.Errorf("%s: %s", q, r.raw)
		}
	}
}

func TestVersionsKeepOneClientFromOverwritingAnother(t *testing.T) {
	p := newPlant(t, byUserName())
	id := p.anna()
	r := p.wants(http.StatusOK, p.do("GET", "/Users/"+id, ""))
	tag := r.header.Get("Etag")
	if tag == "" || r.get("meta", "version") != tag {
		t.Fatalf("the version is %q: %s", tag, r.raw)
	}
	change := `{` + patchSchema + `,"Operations":[{"op":"replace","path":"title","value":"x"}]}`
	p.wants(http.StatusOK, p.do("PATCH", "/Users/"+id, change, "If-Match", tag))
	p.wants(http.StatusPreconditionFailed, p.do("PATCH", "/Users/"+id, change, "If-Match", tag))
	p.wants(http.StatusPreconditionFailed, p.do("DELETE", "/Users/"+id, "", "If-Match", tag))
	p.wants(http.StatusOK, p.do("PATCH", "/Users/"+id, change, "If-Match", "*"))
}

func TestAUserKeepsItsIDWhateverBecomesOfItsName(t *testing.T) {
	p := newPlant(t, byUserName())
	id := p.anna()
	p.wants(http.StatusOK, p.do("PATCH", "/Users/"+id, `{`+patchSchema+`,"Operations":[{"op":"replace","path":"userName","value":"anna.cole@plant.example"}]}`))
	r := p.wants(http.StatusOK, p.do("GET", `/Users?filter=userName+eq+%22anna.cole%40plant.example%22`, ""))
	if r.get("Resources", 0, "id") != id || p.person(record.PersonID(id)).GetDisplayName() != "Anna B." {
		t.Error(r.raw)
	}
}

func TestWhoComesBackIsLetInAgain(t *testing.T) {
	p := newPlant(t, byUserName())
	id := p.anna()
	p.wants(http.StatusNoContent, p.do("DELETE", "/Users/"+id, ""))
	p.anna()
	if e := p.person(record.PersonID(id)); e.GetSuspended() || e.GetLeftAt() != nil {
		t.Errorf("got %v", e)
	}
}

func TestEachChangeIsARecordInTheTokensName(t *testing.T) {
	p := newPlant(t, byUserName())
	id := p.anna()
	p.wants(http.StatusNoContent, p.do("DELETE", "/Users/"+id, ""))
	var said []string
	p.must(p.store.View(t.Context(), func(tx *store.Tx) error {
		found, err := tx.Records(store.Filter{}, 0, 100)
		for _, r := range found {
			e, err := record.ParseEnvelope(r.Envelope)
			if err != nil {
				return err
			}
			pl, err := e.Payload()
			if err != nil {
				return err
			}
			if pl.Admin != nil {
				said = append(said, pl.Admin.Actor+" "+pl.Admin.Method+" "+pl.Admin.Target)
			}
		}
		return err
	}))
	want := []string{
		"scim/entra Directory.added " + id, "scim/entra ScimCreateUser scim", "scim/entra Directory.left " + id, "scim/entra ScimDeleteUser scim",
	}
	if !slices.Equal(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
}

// The law: whatever a client sends, the answer is in SCIM's form and not a fault of the server, and the directory stays whole: who is listed is a person.
func FuzzRequest(f *testing.F) {
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	const user = "/Users/anna@plant.example"
	f.Add(1, "/Users", "", `{`+userSchema+`,"userName":"x"}`)
	f.Add(3, user, "", `{`+patchSchema+`,"Operations":[{"op":"add","path":"emails[type eq \"work\"].value","value":"x"}]}`)
	f.Add(3, user, "", `{`+patchSchema+`,"Operations":[{"op":"replace","value":{"name.givenName":"x","roles":[{"value":"y"}]}}]}`)
	f.Add(3, user, "", `{`+patchSchema+`,"Operations":[{"op":"remove","path":"members[value eq \"x\"]"}]}`)
	f.Add(2, user, "", `{`+userSchema+`,"userName":"y","emails":[{"value":null}],"name":{}}`)
	f.Add(0, "/Users", `emails[type eq "work" and value co "@"] or not (name.givenName pr)`, "")
	f.Add(1, "/Users/.search", "", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"active eq true"}`)
	p := newPlant(f, byUserName())
	f.Fuzz(func(t *testing.T, method int, path, filter, body string) {
		p := &plant{TB: t, store: p.store, url: p.url, secret: p.secret, at: p.at}
		p.do("POST", "/Users", `{`+userSchema+`,"userName":"anna@plant.example"}`)
		u := url.URL{Path: "/" + path}
		if filter != "" {
			u.RawQuery = url.Values{"filter": {filter}}.Encode()
		}
		r := p.do(methods[uint(method)%uint(len(methods))], u.String()[strings.Index(u.String(), "/"):], body)
		if r.status >= 500 && r.status != http.StatusNotImplemented {
			t.Errorf("%s %q %s: %d %s", path, filter, body, r.status, r.raw)
		}
		list, _ := p.wants(http.StatusOK, p.do("GET", "/Users?count=5", "")).body["Resources"].([]any)
		for _, u := range list {
			p.person(record.PersonID(u.(map[string]any)["id"].(string)))
		}
	})
}
