// Package evidence is the files that an auditor is given: chains of records with what the broker says about them. Two forms are read:
//
//	DIR/trust.json                               the broker's public keys
//	DIR/stations/SITE/AREA/LINE/STATION/CHAIN/   an export of the broker, one folder a chain:
//	    station.dsse.json                            the station statement
//	    records.jsonl                                one envelope a line, in order
//	    receipt.dsse.json                            the latest receipt
//	    leaves.txt                                   where each record stands in the broker's log
//	DIR/log/                                     the log's checkpoint, and what proves the leaves
//
//	STATE/journal/                               a station's own journal:
//	    trust.json, station.dsse.json, receipt.dsse.json
//	    records/                                     a ledger
//
// The broker writes the first with a Writer. The auditor's tool finds chains with Open and checks them with Verify, and against the log with VerifyLog. This package does the
// reading and writing of files for package record, which decides what is good; it never changes evidence that it reads, and it
// asks no network and no clock.
package evidence
