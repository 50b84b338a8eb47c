//! Plays: short stories of calls that people act out at their own pace.
//!
//! For demonstrations, and to try a client by hand. They need the numbers of
//! [`Pbx::small_office`].

use std::time::Duration;

use crate::exchange::Refused;
use crate::pbx::Pbx;

/// Who calls from outside.
const CALLER: &str = "420774852629";

/// How a play is acted out.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// The pause between two steps.
    pub pace: Duration,
    /// Is told in one line what people do.
    pub narrator: &'a (dyn Fn(&str) + Sync),
}

impl std::fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("pace", &self.pace).finish_non_exhaustive()
    }
}

impl Stage<'_> {
    /// Tells what happened, and lets it sink in.
    async fn then(&self, line: &str) {
        (self.narrator)(line);
        tokio::time::sleep(self.pace).await;
    }
}

/// The plays by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Play {
    /// [`incoming_answered`].
    Incoming,
    /// [`missed_in_queue`].
    MissedQueue,
    /// [`outgoing_answered`].
    Outgoing,
    /// [`ring_group_answered`].
    RingGroup,
    /// [`receptionist_first`].
    Receptionist,
    /// [`voicemail`].
    Voicemail,
    /// [`internal`].
    Internal,
    /// [`blind_transfer`].
    Transfer,
    /// [`attended_transfer`].
    AttendedTransfer,
}

impl Play {
    /// Acts it out.
    pub async fn act(self, pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
        match self {
            Self::Incoming => incoming_answered(pbx, stage).await,
            Self::MissedQueue => missed_in_queue(pbx, stage).await,
            Self::Outgoing => outgoing_answered(pbx, stage).await,
            Self::RingGroup => ring_group_answered(pbx, stage).await,
            Self::Receptionist => receptionist_first(pbx, stage).await,
            Self::Voicemail => voicemail(pbx, stage).await,
            Self::Internal => internal(pbx, stage).await,
            Self::Transfer => blind_transfer(pbx, stage).await,
            Self::AttendedTransfer => attended_transfer(pbx, stage).await,
        }
    }
}

/// Somebody calls Alice, who answers.
pub async fn incoming_answered(pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
    let caller = pbx.outside(CALLER);
    let call = caller.calls("420226201001")?;
    stage.then("420774852629 calls 420226201001: Alice's phone 106 rings.").await;
    pbx.person("106").answers(&call)?;
    stage.then("Alice answers; they talk.").await;
    caller.hangs_up(&call)?;
    stage.then("The caller hangs up.").await;
    Ok(())
}

/// Somebody calls the queue, where nobody has time.
pub async fn missed_in_queue(pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
    let caller = pbx.outside("420774852630");
    let call = caller.calls("420226201002")?;
    stage.then("420774852630 calls 420226201002: queue 800 rings 106 and 107.").await;
    call.rings_out()?;
    call.polls_again()?;
    stage.then("Nobody answers; the queue rings them again.").await;
    caller.hangs_up(&call)?;
    stage.then("The caller gives up.").await;
    Ok(())
}

/// Bob calls somebody outside, who answers.
pub async fn outgoing_answered(pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
    let callee = pbx.outside("420774852631");
    let call = pbx.person("107").dials("420774852631")?;
    stage.then("Bob at 107 dials 420774852631; it rings there.").await;
    callee.answers(&call)?;
    stage.then("The other side answers; they talk.").await;
    callee.hangs_up(&call)?;
    stage.then("The other side hangs up.").await;
    Ok(())
}

/// Somebody calls the ring group; Carol is the first to answer.
pub async fn ring_group_answered(pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
    let caller = pbx.outside(CALLER);
    let carol = pbx.person("108");
    let call = caller.calls("420226201003")?;
    stage.then("420774852629 calls 420226201003: ring group 810 rings 107, 108 and 109.").await;
    carol.answers(&call)?;
    stage.then("Carol at 108 answers; the others stop ringing.").await;
    carol.hangs_up(&call)?;
    stage.then("Carol hangs up.").await;
    Ok(())
}

/// Somebody reaches the receptionist and chooses the queue.
pub async fn receptionist_first(pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
    let caller = pbx.outside(CALLER);
    let call = caller.calls("420226201004")?;
    stage.then("420774852629 calls 420226201004: receptionist 850 picks up.").await;
    caller.chooses(&call, "800")?;
    stage.then("The caller chooses queue 800, which rings 106 and 107.").await;
    pbx.person("107").answers(&call)?;
    stage.then("Bob at 107 answers; they talk.").await;
    caller.hangs_up(&call)?;
    stage.then("The caller hangs up.").await;
    Ok(())
}

/// Somebody calls Alice, who is away: voicemail takes the call.
pub async fn voicemail(pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
    let caller = pbx.outside(CALLER);
    let call = caller.calls("420226201001")?;
    stage.then("420774852629 calls 420226201001: Alice's phone 106 rings.").await;
    call.goes_to_voicemail()?;
    stage.then("Alice is away; voicemail takes the call.").await;
    caller.hangs_up(&call)?;
    stage.then("The caller has left a message and hangs up.").await;
    Ok(())
}

/// Alice calls Bob.
pub async fn internal(pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
    let alice = pbx.person("106");
    let call = alice.dials("107")?;
    stage.then("Alice at 106 calls Bob at 107.").await;
    pbx.person("107").answers(&call)?;
    stage.then("Bob answers; they talk.").await;
    alice.hangs_up(&call)?;
    stage.then("Alice hangs up.").await;
    Ok(())
}

/// Alice answers and transfers the caller to Bob without asking.
pub async fn blind_transfer(pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
    let caller = pbx.outside(CALLER);
    let alice = pbx.person("106");
    let call = caller.calls("420226201001")?;
    stage.then("420774852629 calls 420226201001: Alice's phone 106 rings.").await;
    alice.answers(&call)?;
    stage.then("Alice answers; they talk.").await;
    alice.transfers(&call, "107")?;
    stage.then("Alice transfers the call to 107, where it rings.").await;
    pbx.person("107").answers(&call)?;
    stage.then("Bob answers; they talk.").await;
    caller.hangs_up(&call)?;
    stage.then("The caller hangs up.").await;
    Ok(())
}

/// Alice answers, asks Bob, and joins the two.
pub async fn attended_transfer(pbx: &Pbx, stage: &Stage<'_>) -> Result<(), Refused> {
    let caller = pbx.outside(CALLER);
    let alice = pbx.person("106");
    let call = caller.calls("420226201001")?;
    stage.then("420774852629 calls 420226201001: Alice's phone 106 rings.").await;
    alice.answers(&call)?;
    stage.then("Alice answers; they talk.").await;
    let consultation = alice.dials("107")?;
    stage.then("Alice calls Bob at 107 in the meantime.").await;
    pbx.person("107").answers(&consultation)?;
    stage.then("Bob answers and agrees.").await;
    let joined = alice.joins(&call, &consultation)?;
    stage.then("Alice joins the two and leaves.").await;
    caller.hangs_up(&joined)?;
    stage.then("The caller hangs up.").await;
    Ok(())
}
