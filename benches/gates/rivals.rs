//! Two other ways to judge the same traffic.

use rand::rngs::StdRng;

use super::{End, LOOKS, WINDOW, World};

/// Tests again at each look, each time as if it were the only one; what was never significantly
/// worse passes.
pub fn naive(world: &World, random: &mut StdRng) -> End {
    let (mut mine, mut all, mut theirs, mut their_all) = (0.0, 0.0, 0.0, 0.0);
    for at in 1..=LOOKS {
        let seen = world.look(at - 1, random);
        mine += seen.canary.0;
        all += seen.canary.1;
        theirs += seen.others.0;
        their_all += seen.others.1;
        let pooled = (mine + theirs) / (all + their_all);
        let error = (pooled * (1.0 - pooled) * (1.0 / all + 1.0 / their_all)).sqrt();
        if error > 0.0 && (mine / all - theirs / their_all) / error > 1.644_853_6 {
            return End::Failed(at);
        }
    }
    End::Passed(LOOKS)
}

/// As Argo Rollouts is often configured: one measurement a minute of the canary alone, a fixed
/// threshold, `failureLimit: 3`, `count: 30`.
pub fn threshold(world: &World, random: &mut StdRng) -> End {
    let mut failures = 0;
    let (mut bad, mut all) = (0.0, 0.0);
    for at in 1..=LOOKS {
        let seen = world.look(at - 1, random);
        bad += seen.canary.0;
        all += seen.canary.1;
        if at % WINDOW == 0 {
            failures += usize::from(bad / all > 0.01);
            (bad, all) = (0.0, 0.0);
            if failures > 3 {
                return End::Failed(at);
            }
        }
    }
    End::Passed(LOOKS)
}
