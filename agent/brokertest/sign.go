package brokertest

import "tapline/proto/record"

// Sign signs a statement, such as a grant bundle, with the evidence key.
func (b *Broker) Sign(payloadType string, payload any) []byte {
	b.t.Helper()
	e, err := record.SignStatement(payloadType, payload, b.evidence)
	if err != nil {
		b.t.Fatal(err)
	}
	return e.Bytes()
}
