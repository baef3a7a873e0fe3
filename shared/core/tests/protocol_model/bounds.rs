//! How much may happen in a run, and what may be wrong with it.

use glidepath_core::rollback::AfterHold;
use glidepath_core::time::Span;

use crate::state::At;

/// What an exploration starts with. Everything that is not counted here happens as often as it can.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Weights of the stages, in permille.
    pub(crate) stages: &'static [u16],
    /// Tasks of the slot that serves.
    pub(crate) tasks: u8,
    /// Whether a bake passes through the gate, or is judged at once.
    pub(crate) gates: bool,
    /// When a second deployment of the same service is asked for.
    pub(crate) successor: Successor,
    /// Whether a person is asked before every stage.
    pub(crate) asks: bool,
    /// Whether the route has only the serving slot's group at first, so that the canary's is attached.
    pub(crate) attaches: bool,
    /// Whether a deployment that has succeeded is retired by the sweep.
    pub(crate) retirement: bool,
    /// What a rollback does that has waited for stable long enough.
    pub(crate) then: AfterHold,
    /// How far the first deployment has come without anything happening besides.
    pub(crate) from: From,
    /// Whether reading a deployment and writing the decision on it is one step. Who writes in
    /// between only has it read again, so this hides nothing but time passing there.
    pub(crate) fused: bool,
    /// By how much time passes at once.
    pub(crate) tick: Span,
    /// Which invocations of an execution are made twice, if not all.
    pub(crate) repeated: Option<At>,
    /// Nobody starts an invocation while this many others are under way.
    pub(crate) concurrent: usize,
    /// What the environment and the faults have left.
    pub(crate) budget: Budget,
    /// A mistake in the protocol that the properties must show.
    pub(crate) mistake: Option<Mistake>,
}

/// When a second deployment of the same service is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Successor {
    Never,
    /// From the beginning of the exploration on.
    AtAnyTime,
    /// Once the first has ended.
    Afterwards,
}

/// Where an exploration begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Nothing has been planned.
    Plan,
    /// The canary has no tasks yet.
    Tasks,
    /// The canary's tasks are healthy, the first shift is next.
    Shift,
    /// The first shift has been recorded.
    Bake,
    /// The first shift has been recorded, then the execution died and stable lost all but one
    /// target.
    Weak,
    /// The last bake is over.
    Commit,
}

/// How often something may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Time passes while an invocation is between two calls.
    /// While nobody calls anything time passes freely.
    pub(crate) pauses: u8,
    /// The alarm goes to ALARM.
    pub(crate) firings: u8,
    /// Deliveries of an event beyond the first.
    pub(crate) repeats: u8,
    /// An operator asks for a rollback.
    pub(crate) operators: u8,
    /// The sweep, or the event of a dead execution, starts a rollback or a completion.
    pub(crate) sweeps: u8,
    /// An invocation dies between two calls, or its last answer is lost.
    pub(crate) crashes: u8,
    /// A write to the world is not answered: it lands later or never.
    pub(crate) unanswered: u8,
    /// The load balancer's API refuses a rollback's write for being one too many.
    pub(crate) throttles: u8,
    /// An invocation is made twice; the copy runs whenever it likes.
    pub(crate) duplicates: u8,
    /// An execution ends without finishing.
    pub(crate) deaths: u8,
    /// A dead execution is redriven.
    pub(crate) redrives: u8,
    /// The targets of the slot that serves become sick, and healthy again.
    pub(crate) sicknesses: u8,
    /// A person sends everything to stable, healthy or not.
    pub(crate) forces: u8,
    /// Validation rejects a healthy canary.
    pub(crate) vetoes: u8,
    /// A person approves a stage about which they were asked at some time.
    pub(crate) answers: u8,
    /// A person lets a stage go on that they were once told holds. With any of these no stage ever has
    /// evidence enough.
    pub(crate) promotions: u8,
    /// Somebody else changes the route in a bake, and puts it back once that was seen.
    pub(crate) meddles: u8,
}

/// Mistakes that somebody could make in the protocol, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A shift does not look at the fence again after its write.
    NoSecondLook,
    /// A rollback by an alarm writes the route before it closes the fence.
    WriteBeforeFence,
    /// An attempt is made whatever the deadline says.
    NoDeadline,
    /// The end does not wait for writes that may still land.
    UnlockWithLiveIntent,
    /// The old slot loses its tasks before the commit.
    RetireBeforeCommit,
    /// The alarms are looked at before they are bound.
    BindAfterLook,
    /// An older entry of the gate replaces a newer one.
    GateWithoutNewerCheck,
    /// A rollback stops deployments that started after the event.
    EventsBeforeTheStart,
    /// A repeated event writes without registering an intent.
    RepeatWithoutIntent,
    /// An intent is finished although an attempt had no answer.
    FinishUnanswered,
    /// The last read-back of a rollback comes before the others' intents are dead.
    ReadBackTooEarly,
    /// A shift takes itself back without asking whether the deployment still has its locks.
    UndoWithoutLock,
    /// A look writes the recorded health whether or not the binding still exists.
    BlindRefresh,
    /// A plan takes the locks at whatever epoch and does not read the roles again.
    RolesReadOnce,
    /// A commit does not ask whether an alarm has fired.
    CommitAfterFiring,
    /// The sweep leaves alone what a rollback holds.
    HeldIsForgotten,
    /// A rollback writes without looking at stable, however old the last look is.
    RestoreWithoutLook,
    /// A step back is claimed whatever others have claimed.
    StepsCross,
    /// A rollback that is put off counts as one that has written.
    ThrottledIsWritten,
    /// A rollback that is put off leaves the execution asleep.
    PutOffAsleep,
    /// A rollback is put off without a look at stable on which its next turn can rely.
    PutOffWithoutLook,
    /// A rollback that is put off opens its fence until it comes back.
    PutOffReopens,
    /// A rollback is put off whatever others have recorded meanwhile.
    PutOffBlindly,
    /// Every look at a weak stable begins the wait for it anew.
    WaitBeginsAnew,
    /// The plan forces it without having waited for stable.
    ForceAtOnce,
    /// What is forced is recorded without being written.
    ForceUnwritten,
    /// What the plan forces is written after the rollback's claim has ended.
    ForceUnclaimed,
    /// The end of a rollback does not require that it has not ended already.
    EndTwice,
    /// Going forward, the attached group at weight 0 is taken for somebody else's.
    AttachForgotten,
    /// An approval is of whatever is asked at that moment.
    ApproveWhatIsAsked,
    /// A promotion is of whatever holds at that moment.
    PromoteWhatHolds,
    /// A look declines whatever promotion there is, also one that was given since it began.
    DeclineBlindly,
    /// A look ends the deployment for want of an answer without asking the registry for one.
    EndUnrecorded,
    /// A late copy of a step asks again.
    AskAgain,
    /// The time of somebody else's weights counts as a bake.
    ForeignTimeCounts,
    /// A late copy of a step claims although the step is over.
    LateClaim,
}
