package identity

// CheckProof says whether a station's identity key (SubjectPublicKeyInfo, DER) signed a digest: wire.Unauthenticated if not.
func CheckProof(spki []byte, digest [32]byte, proof []byte) error {
	return checkProof(spki, digest, proof)
}
