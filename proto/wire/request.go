package wire

// RequestHeader is the metadata of a call that names it: a caller may send a name, and the answer's trailer has the one that the broker's log knows the
// call by.
const RequestHeader = "x-request-id"
