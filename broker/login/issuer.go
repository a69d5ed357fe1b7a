package login

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"go.uber.org/zap"

	"tapline/broker/officer"
	"tapline/proto/wire"
)

// Limits of a token's times, by the broker's clock.
const (
	leeway = time.Minute
	// maxAge is how old a token may be: tapctl shows it as soon as it has it.
	maxAge = 10 * time.Minute
	// discoverEvery is how often the discovery document is read again, at a login.
	discoverEvery = time.Hour
)

// Issuer checks ID tokens of one issuer. It is an officer.Issuer.
type Issuer struct {
	cfg    Config
	now    func() time.Time
	log    *zap.Logger
	source *source
	roots  []byte

	mu    sync.Mutex             // guards what follows; never held while the issuer is asked
	known *oidc.IDTokenVerifier  // nil before the first login
	at    time.Time              // when it was learned
	kept  map[string]oidc.KeySet // keys by the address that they come from
}

// New makes an Issuer and asks nobody.
func New(cfg Config, log *zap.Logger, now func() time.Time) (*Issuer, error) {
	if err := errors.Join(cfg.Check()...); err != nil {
		return nil, err
	}
	pool, pem, err := cfg.roots()
	if err != nil {
		return nil, err
	}
	return &Issuer{cfg: cfg, now: now, log: log, source: newSource(pool, now), roots: pem, kept: map[string]oidc.KeySet{}}, nil
}

// Describe says how tapctl asks the issuer for an ID token.
func (i *Issuer) Describe() officer.Door {
	return officer.Door{Issuer: i.cfg.Issuer, ClientID: i.cfg.ClientID, Scopes: slices.Clone(i.cfg.scopes()), Roots: i.roots}
}

// Verify checks an ID token, and says who it is and in which role.
func (i *Issuer) Verify(ctx context.Context, token string) (officer.Claims, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
	defer cancel()
	v, err := i.verifier(ctx)
	if err != nil {
		return officer.Claims{}, err
	}
	keys := &asked{}
	t, err := v.Verify(context.WithValue(ctx, askedKey{}, keys), token)
	switch {
	case err != nil && keys.away != nil:
		return officer.Claims{}, i.away(keys.away)
	case err != nil:
		return officer.Claims{}, wire.E(wire.Unauthenticated, "id_token: %s", i.words(err))
	}
	var c claims
	if err := t.Claims(&c); err != nil {
		return officer.Claims{}, wire.E(wire.Unauthenticated, "id_token: its claims are no JSON object")
	}
	if err := i.checkParty(t, c); err != nil {
		return officer.Claims{}, err
	}
	if err := i.checkTimes(t, c); err != nil {
		return officer.Claims{}, err
	}
	return i.person(t, c)
}

// away says that the issuer could not be asked. What exactly is for the log: whoever asks has not shown yet who they are.
func (i *Issuer) away(err error) error {
	i.log.Warn("OIDC issuer does not answer", zap.String("issuer", i.cfg.Issuer), zap.Error(err))
	return wire.E(wire.Unavailable, "id_token: the issuer %s does not answer the broker; try again in a minute, or log in with an invitation", i.cfg.Issuer)
}

// verifier is the verifier as the discovery document has it. An old document serves on while the issuer does not answer.
func (i *Issuer) verifier(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	known, at := i.known, i.at
	i.mu.Unlock()
	if known != nil && within(i.now(), at, discoverEvery) {
		return known, nil
	}
	fresh, err := i.discover(ctx)
	if err != nil {
		if known != nil {
			return known, nil
		}
		return nil, err
	}
	return fresh, nil
}

// discover reads the discovery document.
func (i *Issuer) discover(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, i.source.client()), i.cfg.Issuer)
	if err != nil {
		return nil, i.away(err)
	}
	var d document
	if err := p.Claims(&d); err != nil || checkIssuer(d.Keys) != nil {
		return nil, i.away(errors.New("its discovery document names no keys (jwks_uri) over https"))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	keys, ok := i.kept[d.Keys]
	if !ok {
		// The keys outlive this call, so the call's end must not end fetching them; each fetch is bounded by the client.
		keys = watched{oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), i.source.client()), d.Keys)}
		i.kept = map[string]oidc.KeySet{d.Keys: keys}
	}
	i.known, i.at = oidc.NewVerifier(i.cfg.Issuer, keys, &oidc.Config{
		ClientID: i.cfg.audience(), SupportedSigningAlgs: algorithms(d.Algorithms), SkipExpiryCheck: true, Now: i.now,
	}), i.now()
	return i.known, nil
}

// document is what of the discovery document (OpenID Connect Discovery 1.0, section 3) matters here.
type document struct {
	Keys       string   `json:"jwks_uri"`
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
	Device     string   `json:"device_authorization_endpoint"`
	Token      string   `json:"token_endpoint"`
}

// algorithms are those of the issuer that need no secret on this side; never none, never HMAC.
func algorithms(offered []string) []string {
	ours := []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}
	both := slices.DeleteFunc(slices.Clone(offered), func(a string) bool { return !slices.Contains(ours, a) })
	if len(both) == 0 {
		return []string{oidc.RS256} // the one that every issuer has to have
	}
	return both
}

// asked notes, for one Verify, whether the issuer could be asked for its keys.
type asked struct{ away error }

type askedKey struct{}

// watched is a key set that tells an issuer that is away from a signature that is bad.
type watched struct{ oidc.KeySet }

// VerifySignature is the key set's.
func (w watched) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := w.KeySet.VerifySignature(ctx, token)
	if a, ok := ctx.Value(askedKey{}).(*asked); ok && err != nil && (errors.Is(err, errAway) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		a.away = err
	}
	return payload, err
}
