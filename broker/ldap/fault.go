package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/go-ldap/ldap/v3"
)

// Errors that callers handle. What the server said is in the text; a password never is.
var (
	// ErrCredentials says that the server refuses the account or its password.
	ErrCredentials = errors.New("the server refuses the account or its password")
	// ErrExpired says that the account's password is right and has expired.
	ErrExpired = errors.New("the account's password has expired")
	// ErrUnavailable says that no server answers.
	ErrUnavailable = errors.New("no directory server answers")
	// ErrUntrusted says that the server's certificate is not good, or that it does not do TLS.
	ErrUntrusted = errors.New("the server cannot be trusted")
	// ErrNoEntry says that there is no such entry.
	ErrNoEntry = errors.New("there is no such entry")
	// ErrRights says that the account may not do that.
	ErrRights = errors.New("the account lacks the right")
	// ErrPolicy says that the server's policy refuses the new password.
	ErrPolicy = errors.New("the server's policy refuses the password")
	// ErrCookie says that the server does not know the cookie any more: all must be read again.
	ErrCookie = errors.New("the server cannot tell the changes since then")
	// ErrReferral says that the server sends elsewhere. Referrals are not followed.
	ErrReferral = errors.New("the server refers to another one, which is not followed")
	// ErrTooMuch says that the answer is longer than is taken.
	ErrTooMuch = errors.New("the answer is too long")
)

// explain gives an answer of the server its kind.
func explain(err error) error {
	var answer *ldap.Error
	if err == nil || !errors.As(err, &answer) {
		return err
	}
	kind := map[uint16]error{
		ldap.LDAPResultInvalidCredentials: ErrCredentials, ldap.LDAPResultInappropriateAuthentication: ErrCredentials,
		ldap.LDAPResultNoSuchObject: ErrNoEntry, ldap.LDAPResultInsufficientAccessRights: ErrRights,
		ldap.LDAPResultConstraintViolation: ErrPolicy, ldap.LDAPResultReferral: ErrReferral, ldap.LDAPResultUnavailable: ErrUnavailable,
		ldap.LDAPResultBusy: ErrUnavailable, ldap.LDAPResultUnwillingToPerform: ErrPolicy,
		ldap.LDAPResultSizeLimitExceeded: ErrTooMuch, ldap.LDAPResultSyncRefreshRequired: ErrCookie, ldap.ErrorNetwork: ErrUnavailable,
	}[answer.ResultCode]
	said := quote(answer)
	if kind == nil {
		return fmt.Errorf("the server answers %s", said)
	}
	if hint := subcode(said); errors.Is(kind, ErrCredentials) && hint != nil {
		return fmt.Errorf("%w (%s)", hint, said)
	}
	return fmt.Errorf("%w (%s)", kind, said)
}

// subcode reads the reason that Active Directory gives for a refused bind.
func subcode(said string) error {
	for code, kind := range map[string]error{
		"data 532": ErrExpired, "data 773": ErrExpired,
		"data 533": fmt.Errorf("%w: the account is disabled", ErrCredentials),
		"data 701": fmt.Errorf("%w: the account has expired", ErrCredentials),
		"data 775": fmt.Errorf("%w: the account is locked", ErrCredentials),
	} {
		if strings.Contains(strings.ToLower(said), code) {
			return kind
		}
	}
	return nil
}

// maxSaid bounds what is shown of a server's text.
const maxSaid = 200

// quote is what the server said, on one line.
func quote(e *ldap.Error) string {
	text := ""
	if e.Err != nil {
		text = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, e.Err.Error())
	}
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "")
	}
	name := ldap.LDAPResultCodeMap[e.ResultCode]
	if name == "" {
		name = "result"
	}
	return strings.TrimSpace(fmt.Sprintf("%s, code %d: %s", name, e.ResultCode, text))
}

// untrusted reports whether a handshake failed for want of trust and not of a line.
func untrusted(err error) bool {
	var bad *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var alert tls.AlertError
	return errors.As(err, &bad) || errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &alert)
}
