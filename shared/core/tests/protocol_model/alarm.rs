//! `engine::rollback::on_alarm`: one delivery of an alarm event.

use std::sync::Arc;

use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::{Fenced, NextStep, Refused};
use glidepath_core::record::{AlarmItem, Binding, Deployment, Intent, Purpose, RecordedHealth};
use glidepath_core::rollback::Forced;
use glidepath_core::time::Timestamp;

use crate::bounds::Mistake;
use crate::call::{Call, End, Turn};
use crate::example::{LIFETIME, Who};
use crate::marks::{Mark, Marks};
use crate::put_off::{Carrier, PutOff, PuttingOff};
use crate::rollback::record_restored;
use crate::transit::{Restored, Restoring, Transit, Transited, Vouched, Wrote};
use crate::weak::{Begun, Weakened, Weakening};

/// One delivery.
#[derive(Clone, Debug)]
pub(crate) struct ByAlarm {
    /// The state's timestamp.
    pub(crate) at: Timestamp,
    /// Deployments that are still to be stopped.
    stopped: Vec<(DeploymentId, Arc<Binding>)>,
    intent: Option<Intent>,
    /// Every attempt so far was answered.
    clean: bool,
    /// Nothing has failed so far.
    fine: bool,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    FenceAlarm,
    Join,
    Restore(Restoring),
    FenceDeployment(Saw),
    Weak(Begun, Weakening),
    /// Nothing was written.
    FinishFence {
        clean: bool,
    },
    PutOff(Arc<Deployment>, PuttingOff),
    Restored(Arc<Deployment>, Option<Forced>, Transit),
    Wake(Arc<Deployment>),
    FinishAlarm,
}

/// What came of the first look and write.
#[derive(Clone, Debug)]
enum Saw {
    TooWeak(RecordedHealth),
    Attempted(Written),
}

#[derive(Clone, Debug, Hash)]
struct Written {
    wrote: Wrote,
    clean: bool,
    /// Whose decision it was, if stable is too weak for it.
    forced: Option<Forced>,
}

impl ByAlarm {
    pub(crate) const fn new(at: Timestamp) -> Self {
        Self {
            at,
            stopped: Vec::new(),
            intent: None,
            clean: true,
            fine: true,
            place: Place::FenceAlarm,
        }
    }

    pub(crate) const fn fresh(&self) -> bool {
        matches!(self.place, Place::FenceAlarm)
    }

    pub(crate) const fn attempts(&self) -> bool {
        matches!(self.place, Place::Restore(_))
            || matches!(&self.place, Place::Weak(_, weakening) if weakening.attempts())
    }

    /// Whether the next call may write everything.
    pub(crate) const fn restores(&self) -> bool {
        matches!(self.place, Place::Restore(_))
            || matches!(&self.place, Place::Weak(_, weakening) if weakening.restores())
    }

    pub(crate) fn step(mut self, call: &mut Call<'_>) -> Turn<Self> {
        let intent = self
            .intent
            .clone()
            .unwrap_or_else(|| Intent::new(Purpose::Restore, call.now(), LIFETIME));
        self.intent = Some(intent.clone());
        if let Some((id, _)) = self.stopped.first() {
            call.who = Who::of(id);
        }
        match self.place.clone() {
            Place::FenceAlarm => self.fence_alarm(call, &intent),
            Place::Join => {
                let (id, _) = self.first();
                if call.join_alarm(&id, &intent) {
                    self.on(Place::Restore(Restoring::Begin))
                } else {
                    self.next_deployment()
                }
            }
            Place::Restore(restoring) => self.restore(call, &intent, restoring),
            Place::FenceDeployment(saw) => {
                if call.mistaken(Mistake::WriteBeforeFence) {
                    call.fence_alarm(self.at, &intent);
                }
                match call.fence_deployment(call.who, &intent, Some(self.at)) {
                    Fenced::Closed(fenced) => {
                        let fenced = Arc::new(fenced);
                        match saw {
                            Saw::TooWeak(health) => {
                                let begun = Begun { read: fenced, intent, health };
                                self.on(Place::Weak(begun, Weakening::Begin))
                            }
                            Saw::Attempted(written) => self.attempted(fenced, written),
                        }
                    }
                    Fenced::NotWritten(_) | Fenced::Unknown => self.next_deployment(),
                }
            }
            Place::Weak(begun, weakening) => match weakening.step(call, call.who, &begun) {
                Weakened::On(weakening) => self.on(Place::Weak(begun, weakening)),
                Weakened::Whole { wrote, clean, forced } => {
                    let clean = call.clean(clean);
                    self.attempted(begun.read, Written { wrote, clean, forced })
                }
                Weakened::InPlace => {
                    let written = Written { wrote: Wrote::Everything, clean: true, forced: None };
                    self.attempted(begun.read, written)
                }
                Weakened::Waits => self.on(Place::Wake(begun.read)),
                Weakened::Refused(Refused::NotOpen(_)) => self.next_deployment(),
                Weakened::Refused(_) | Weakened::Failed => self.lost(true),
            },
            Place::FinishFence { clean } => {
                let own = call.own();
                call.finish_deployment_intent(call.who, &own);
                self.lost(clean)
            }
            Place::PutOff(fenced, putting) => {
                let own = call.own();
                match putting.step(call, &fenced, Some(&own), Carrier::Woken) {
                    PutOff::On(putting) => self.on(Place::PutOff(fenced, putting)),
                    PutOff::Done(_) if call.mistaken(Mistake::PutOffAsleep) => {
                        self.next_deployment()
                    }
                    PutOff::Done(_) => self.on(Place::Wake(fenced)),
                    PutOff::Refused(Refused::NotOpen(_)) => self.next_deployment(),
                    PutOff::Refused(_) => self.lost(true),
                }
            }
            Place::Restored(fenced, forced, transit) => {
                match record_restored(call, transit, true, forced.as_ref()) {
                    Transited::On(transit) => self.on(Place::Restored(fenced, forced, transit)),
                    Transited::Done(_) => self.on(Place::Wake(fenced)),
                    Transited::Refused(Refused::NotOpen(_)) => self.next_deployment(),
                    Transited::Refused(_) => self.lost(true),
                }
            }
            Place::Wake(fenced) => {
                call.wake(&fenced);
                self.next_deployment()
            }
            Place::FinishAlarm => {
                call.finish_alarm_intent();
                Turn::End(self.end())
            }
        }
    }

    fn fence_alarm(mut self, call: &mut Call<'_>, intent: &Intent) -> Turn<Self> {
        let (alarm, joined) = if call.mistaken(Mistake::WriteBeforeFence) {
            (call.alarm(), true)
        } else {
            match call.fence_alarm(self.at, intent) {
                Fenced::Closed(alarm) => (alarm, true),
                Fenced::NotWritten(alarm) => (alarm, false),
                Fenced::Unknown => return Turn::End(self.end()),
            }
        };
        let all = call.mistaken(Mistake::EventsBeforeTheStart);
        self.stopped = stopped(&alarm, self.at, all);
        if self.stopped.is_empty() {
            return self.next_deployment();
        }
        let writes_at_once = joined || call.mistaken(Mistake::RepeatWithoutIntent);
        self.on(if writes_at_once { Place::Restore(Restoring::Begin) } else { Place::Join })
    }

    fn restore(mut self, call: &mut Call<'_>, intent: &Intent, restoring: Restoring) -> Turn<Self> {
        let (_, binding) = self.first();
        let route = binding.routes.first().expect("a binding has a route");
        let Binding { health, needed, .. } = *binding;
        let vouched = Vouched { health, needed, forced: false, throttled_since: None };
        match restoring.step(call, call.who, intent, route, vouched) {
            Restored::On(restoring) => self.on(Place::Restore(restoring)),
            Restored::TooWeak(health) => self.on(Place::FenceDeployment(Saw::TooWeak(health))),
            Restored::Attempted { wrote, clean } => {
                let clean = call.clean(clean);
                let written = Written { wrote, clean, forced: None };
                self.on(Place::FenceDeployment(Saw::Attempted(written)))
            }
        }
    }

    /// What follows the attempts to write everything. The intent on the alarm stands for them.
    fn attempted(
        mut self,
        fenced: Arc<Deployment>,
        Written { wrote, clean, forced }: Written,
    ) -> Turn<Self> {
        let place = match wrote {
            Wrote::Nothing => return self.on(Place::FinishFence { clean }),
            Wrote::PutOff => Place::PutOff(fenced, PuttingOff::Begin),
            Wrote::Everything => Place::Restored(fenced, forced, Transit::Load),
        };
        self.clean &= clean;
        self.on(place)
    }

    fn first(&self) -> (DeploymentId, Arc<Binding>) {
        self.stopped.first().cloned().expect("one deployment is being stopped")
    }

    fn on(&mut self, place: Place) -> Turn<Self> {
        Turn::On(Self { place, ..self.clone() })
    }

    fn lost(mut self, clean: bool) -> Turn<Self> {
        self.clean &= clean;
        self.fine = false;
        self.next_deployment()
    }

    fn next_deployment(mut self) -> Turn<Self> {
        if !self.stopped.is_empty() {
            self.stopped.remove(0);
        }
        if !self.stopped.is_empty() {
            return self.on(Place::Join);
        }
        if self.clean { self.on(Place::FinishAlarm) } else { Turn::End(self.end()) }
    }

    const fn end(&self) -> End {
        if self.fine { End::Reply(NextStep::Failed) } else { End::Transient }
    }
}

fn stopped(alarm: &AlarmItem, at: Timestamp, all: bool) -> Vec<(DeploymentId, Arc<Binding>)> {
    let own = |(id, binding): (&DeploymentId, &Binding)| (id.clone(), Arc::new(binding.clone()));
    if all {
        return alarm.bindings.iter().map(own).collect();
    }
    alarm.stopped_by(at).map(own).collect()
}

impl Mark for ByAlarm {
    fn mark(&self, marks: &mut Marks<'_>) {
        marks.ordered(self.at);
        marks.flag(self.clean);
        marks.flag(self.fine);
        for (id, binding) in &self.stopped {
            marks.hash(id);
            marks.binding(binding);
        }
        marks.some(self.intent.as_ref(), Marks::intent);
        marks.hash(std::mem::discriminant(&self.place));
        match &self.place {
            Place::FenceAlarm | Place::Join | Place::FinishAlarm => {}
            Place::Restore(restoring) => restoring.mark(marks),
            Place::FenceDeployment(Saw::TooWeak(health)) => marks.health(*health),
            Place::FenceDeployment(Saw::Attempted(written)) => marks.hash(written),
            Place::Weak(begun, weakening) => {
                begun.mark(marks);
                weakening.mark(marks);
            }
            Place::PutOff(fenced, putting) => {
                marks.deployment(fenced);
                putting.mark(marks);
            }
            Place::Restored(fenced, forced, transit) => {
                marks.deployment(fenced);
                marks.flag(forced.is_some());
                transit.mark(marks);
            }
            Place::FinishFence { clean } => marks.flag(*clean),
            Place::Wake(fenced) => marks.deployment(fenced),
        }
    }
}
