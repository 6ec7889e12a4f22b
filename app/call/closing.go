package call

import "encoding/json"

// closingFlowID names the flow below in a record.
const closingFlowID = "@closing"

// closingFlow is what a caller hears whom a queue does not serve: a prompt, and then what the queue's action says. Its place is the Closing.
type closingFlow struct{}

// closingPlace is where a closingFlow is: Done counts the steps that are behind.
type closingPlace struct {
	Closing
	Done int `json:"done"`
}

// Next implements Flow.
func (closingFlow) Next(at json.RawMessage, got Outcome, _ View) Move {
	var p closingPlace
	if err := json.Unmarshal(at, &p); err != nil {
		return Move{Do: Hangup{FlowFailed}, At: at}
	}
	if got.Kind != Resumed && got.Kind != Entered {
		p.Done++
	}
	here, err := json.Marshal(p)
	if err != nil {
		return Move{Do: Hangup{FlowFailed}, At: at}
	}
	node := "closing:" + p.Why
	switch {
	case p.Done == 0:
		return Move{Do: Answer{}, At: here, Node: node}
	case p.Done == 1:
		return Move{Do: Play{Prompts: []Prompt{{Key: p.prompt()}}}, At: here}
	case p.Done == 2 && p.Then == "message":
		return Move{Do: Message{Prompts: []Prompt{{Key: "message/leave"}}, Queue: p.Queue}, At: here, Node: "message"}
	case p.Done == 2 && p.Then == "queue":
		return Move{Do: Enqueue{Queue: p.Queue}, At: here}
	case p.Done == 3 && p.Then == "message":
		return Move{Do: Play{Prompts: []Prompt{{Key: "message/thanks"}}}, At: here}
	case p.Then == "message":
		return Move{Do: Hangup{MessageLeft}, At: here}
	}
	return Move{Do: Hangup{p.reason()}, At: here}
}

func (p closingPlace) prompt() string {
	if p.Prompt != "" {
		return p.Prompt
	}
	switch p.Why {
	case "empty":
		return "queue/no-agents"
	case "full":
		return "queue/full"
	case "timeout":
		return "queue/timeout"
	}
	return "queue/closed"
}

func (p closingPlace) reason() Reason {
	switch p.Why {
	case "empty":
		return NoAgent
	case "full":
		return QueueFull
	case "timeout":
		return WaitedTooLong
	case "transfer_failed":
		return TransferFailed
	}
	return QueueClosed
}
