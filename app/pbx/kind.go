package pbx

import "strconv"

// kindNames are the names of the kinds, by number.
var kindNames = [...]string{
	Arrived: "Arrived", Ringing: "Ringing", Progress: "Progress", Answered: "Answered", Ended: "Ended", Digit: "Digit",
	PlayEnded: "PlayEnded", RecordStarted: "RecordStarted", RecordEnded: "RecordEnded", Held: "Held", Unheld: "Unheld",
	TransferAsked: "TransferAsked", LineChanged: "LineChanged", Lost: "Lost", Resync: "Resync", Replaced: "Replaced",
}

// String is the name of the kind, as in the code.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}
