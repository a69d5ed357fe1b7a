// Package backup writes everything that a broker's store holds to one file, while brokers go on, and puts it back.
//
// The file is the same for both engines, so it also moves a broker from SQLite to PostgreSQL. It is lines of JSON under gzip: first the Manifest; then
// for each table a line {"table", "columns", "kinds"} and one array for each row, with bytes in base64; last {"end": true, "rows", "sha256"}, the digest of
// every byte before that line. zcat, head and jq read it. A file that was cut off or changed has no end or another digest, and nothing of it is taken:
// Open reads it whole before the first row goes anywhere.
//
// The master key is not in it unless somebody asks: what is secret in a store is sealed under that key, so a backup without it may lie where backups lie.
// The commands backup and restore of tapbroker call this package. It knows no table and decides nothing about checkpoints: that is the caller's check.
package backup
