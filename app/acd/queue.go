package acd

import (
	"slices"
	"strings"
	"time"

	"callplane/app/kernel/problem"
)

// QueueID names a queue.
type QueueID string

// Strategy is how one of several suitable agents is chosen.
type Strategy string

// The strategies. Whatever ties is settled by the longest idle time.
const (
	LongestIdle      Strategy = "longest_idle"      // who has been free longest
	BestSkill        Strategy = "best_skill"        // highest sum of levels in the skills asked for
	LowestSufficient Strategy = "lowest_sufficient" // lowest sum of levels that still meets what is asked for
	FewestCalls      Strategy = "fewest_calls"      // fewest calls handled since signing in
	MemberPriority   Strategy = "priority"          // the agent's priority in the queue, highest first
)

// Strategies is all of them.
var Strategies = []Strategy{LongestIdle, BestSkill, LowestSufficient, FewestCalls, MemberPriority}

// Queue is a line of callers and the rules by which they are served.
type Queue struct {
	ID       QueueID `json:"id"`
	Unit     string  `json:"unit"`
	UnitPath string  `json:"unit_path"`
	Name     string  `json:"name" minLength:"1" maxLength:"60"`
	Open     bool    `json:"open"`
	Settings
}

// Settings are the rules of a queue. The zero value is not useful; begin with Defaults.
type Settings struct {
	Strategy      Strategy      `json:"strategy" enum:"longest_idle,best_skill,lowest_sufficient,fewest_calls,priority" required:"false" default:"longest_idle" doc:"How one of several suitable agents is chosen"`
	RingSeconds   int           `json:"ring_seconds" minimum:"3" maximum:"300" required:"false" default:"20" doc:"How long an agent's phone rings before the offer is withdrawn"`
	WrapUpSeconds int           `json:"wrap_up_seconds" minimum:"0" maximum:"3600" required:"false" doc:"Time an agent has after the call before the next one; 0 is none. Default 30"`
	Skills        []Requirement `json:"skills,omitempty" doc:"What every call of the queue asks of an agent"`
	Priority      int           `json:"priority" minimum:"0" maximum:"100" required:"false" doc:"Of its calls, against those of other queues that an agent serves"`
	AgeSeconds    int           `json:"age_seconds" minimum:"0" maximum:"3600" required:"false" doc:"Waiting so long counts as one more priority; 0: waiting never outweighs priority. Default 60"`

	MaxWaiting     int    `json:"max_waiting" minimum:"0" required:"false" doc:"Callers beyond this number get the full action; 0 is no limit"`
	MaxWaitSeconds int    `json:"max_wait_seconds" minimum:"0" required:"false" doc:"Waiting longer leads to the timeout action; 0 is no limit"`
	Closed         Action `json:"closed" required:"false" doc:"What happens to callers while the queue is closed"`
	Empty          Action `json:"empty" required:"false" doc:"…when no agent of the queue is signed in"`
	Full           Action `json:"full" required:"false" doc:"…when max_waiting is reached"`
	Timeout        Action `json:"timeout" required:"false" doc:"…after max_wait_seconds"`

	Music               string   `json:"music" required:"false" default:"default" doc:"Music class while waiting and on hold"`
	Comfort             []string `json:"comfort,omitempty" doc:"Messages in their order; the last repeats. Prompt keys"`
	ComfortSeconds      int      `json:"comfort_seconds" minimum:"0" maximum:"600" required:"false" doc:"Between messages; 0 is none. Default 30"`
	AnnouncePosition    bool     `json:"announce_position" required:"false" doc:"Say the position in the queue"`
	AnnounceWait        bool     `json:"announce_wait" required:"false" doc:"Say the estimated wait"`
	AnnounceSeconds     int      `json:"announce_seconds" minimum:"0" maximum:"600" required:"false" doc:"Between announcements of position and wait; the first comes at once. Default 60"`
	ServiceLevelSeconds int      `json:"service_level_seconds" minimum:"1" required:"false" default:"20" doc:"Answered within this time counts for the service level"`
	ShortAbandonSeconds int      `json:"short_abandon_seconds" minimum:"0" required:"false" doc:"Callers who give up sooner are counted apart (K-01). Default 5"`
	Recording           Policy   `json:"recording" required:"false"`
	Survey              string   `json:"survey,omitempty" doc:"Flow that asks the caller after the call"`
}

// Requirement is a skill that a call asks for.
type Requirement struct {
	Skill        string `json:"skill" minLength:"1" maxLength:"60"`
	Level        int    `json:"level" minimum:"1" maximum:"10" required:"false" default:"1" doc:"At least this level"`
	RelaxSeconds int    `json:"relax_seconds,omitempty" minimum:"0" doc:"Waited so long, the call no longer asks for it; 0 is never"`
}

// Then is what becomes of a caller whom the queue does not serve.
type Then string

// What becomes of them after the prompt.
const (
	ThenHangup  Then = "hangup"
	ThenMessage Then = "message" // may leave a message, which becomes a task
	ThenQueue   Then = "queue"   // goes to another queue
)

// Action is a prompt and what follows.
type Action struct {
	Prompt string  `json:"prompt,omitempty" doc:"Prompt key; empty is the platform's own"`
	Then   Then    `json:"then,omitempty" enum:"hangup,message,queue" doc:"Default hangup"`
	Queue  QueueID `json:"queue,omitempty" doc:"With then: queue"`
}

// Policy is which calls are recorded.
type Policy struct {
	Mode    string `json:"mode,omitempty" enum:"all,share,on_demand,none" doc:"Default all"`
	Percent int    `json:"percent,omitempty" minimum:"0" maximum:"100" doc:"With mode share: of the calls"`
}

// Defaults are the settings of a new queue.
func Defaults() Settings {
	return Settings{
		Strategy: LongestIdle, RingSeconds: 20, WrapUpSeconds: 30, AgeSeconds: 60, Music: "default",
		Comfort: []string{"queue/comfort-1", "queue/comfort-2", "queue/comfort-3"}, ComfortSeconds: 30,
		AnnouncePosition: true, AnnounceSeconds: 60, ServiceLevelSeconds: 20, ShortAbandonSeconds: 5,
		Closed: Action{Prompt: "queue/closed", Then: ThenHangup}, Empty: Action{Prompt: "queue/no-agents", Then: ThenMessage},
		Full: Action{Prompt: "queue/full", Then: ThenHangup}, Timeout: Action{Prompt: "queue/timeout", Then: ThenMessage},
		Recording: Policy{Mode: "all"},
	}
}

// Errors.
var (
	ErrNoQueue   = problem.New(problem.NotFound, "no_queue", "No such queue")
	ErrQueueName = problem.New(problem.Conflict, "queue_name_taken", "Another queue has this name")
	ErrNoContact = problem.New(problem.NotFound, "not_waiting", "The call does not wait in a queue")
)

// Check tells what is wrong with a queue, naming each field.
func (q Queue) Check() error {
	var p *problem.Problem
	bad := func(field, name, format string, args ...any) {
		if p == nil {
			p = problem.ErrInvalid
		}
		p = p.At("body."+field, name, format, args...)
	}
	if strings.TrimSpace(q.Name) == "" {
		bad("name", "required", "A queue needs a name.")
	}
	if !slices.Contains(Strategies, q.Strategy) {
		bad("strategy", "unknown", "%q is no strategy.", q.Strategy)
	}
	if q.RingSeconds < 3 || q.RingSeconds > 300 {
		bad("ring_seconds", "out_of_range", "Must be from 3 to 300.")
	}
	if q.WrapUpSeconds < 0 || q.WrapUpSeconds > 3600 {
		bad("wrap_up_seconds", "out_of_range", "Must be from 0 to 3600.")
	}
	for name, a := range map[string]Action{"closed": q.Closed, "empty": q.Empty, "full": q.Full, "timeout": q.Timeout} {
		if a.Then == ThenQueue && (a.Queue == "" || a.Queue == q.ID) {
			bad(name+".queue", "required", "Name the other queue that callers go to.")
		}
	}
	if q.Recording.Mode == "share" && (q.Recording.Percent < 1 || q.Recording.Percent > 100) {
		bad("recording.percent", "out_of_range", "Must be from 1 to 100.")
	}
	if p == nil {
		return nil
	}
	return p
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
