package login

import "net/http"

// Through has the issuer reached by a transport of a test.
func (i *Issuer) Through(t http.RoundTripper) { i.source.next = t }
