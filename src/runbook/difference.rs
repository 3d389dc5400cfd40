//! What differs between two plans of a runbook.

use serde::Serialize;
use serde_json::Value;

use super::plan::{Plan, Planned};

/// One thing that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub what: What,
    /// The id of a step, a gate, a trigger, a criterion; the name of a query or an environment.
    pub id: String,
    pub how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    Step,
    RollbackStep,
    StepAfterwards,
    Gate,
    Trigger,
    Query,
    Criterion,
    Environment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    Added,
    Removed,
    Changed,
    /// The same, in another place.
    Moved,
}

impl What {
    pub const fn name(self) -> &'static str {
        match self {
            What::Step => "step",
            What::RollbackStep => "rollback step",
            What::StepAfterwards => "step afterwards",
            What::Gate => "gate",
            What::Trigger => "trigger",
            What::Query => "query",
            What::Criterion => "criterion",
            What::Environment => "environment",
        }
    }
}

/// Everything that a run would do otherwise, in the order of the document. Where something stands
/// in the text makes no difference, its order does.
pub fn differences(old: &Plan, new: &Plan) -> Vec<Difference> {
    let step = |p: &Planned| p.step.id.clone();
    let mut found = compare(What::Step, &old.forward, &new.forward, step);
    found.extend(compare(
        What::RollbackStep,
        &old.rollback,
        &new.rollback,
        step,
    ));
    found.extend(compare(
        What::StepAfterwards,
        &old.afterwards,
        &new.afterwards,
        step,
    ));
    found.extend(compare(What::Gate, &old.gates, &new.gates, |g| {
        g.id.clone()
    }));
    found.extend(compare(What::Trigger, &old.triggers, &new.triggers, |t| {
        t.id.clone()
    }));
    found.extend(compare(What::Query, &old.queries, &new.queries, |q| {
        q.name.clone()
    }));
    found.extend(compare(
        What::Criterion,
        &old.criteria,
        &new.criteria,
        |c| c.id.clone(),
    ));
    found.extend(compare(
        What::Environment,
        &old.environments,
        &new.environments,
        |e| e.name.clone(),
    ));
    found
}

/// The texts of both runbooks as a unified diff; empty where they are the same.
pub fn text_difference(old: &Plan, new: &Plan) -> String {
    similar::TextDiff::from_lines(&old.text, &new.text)
        .unified_diff()
        .context_radius(2)
        .to_string()
}

fn compare<T: Serialize>(
    what: What,
    old: &[T],
    new: &[T],
    id: impl Fn(&T) -> String,
) -> Vec<Difference> {
    let read = |all: &[T]| -> Vec<(String, Value)> {
        all.iter().map(|one| (id(one), content(one))).collect()
    };
    let (old, new) = (read(old), read(new));
    let found = |id: &String, how| Difference {
        what,
        id: id.clone(),
        how,
    };
    let mut differences = Vec::new();
    // The order among what is in both.
    let in_both = |of: &[(String, Value)], other: &[(String, Value)]| -> Vec<String> {
        let known = |id: &str| other.iter().any(|(o, _)| o == id);
        let ids = of.iter().map(|(id, _)| id);
        ids.filter(|id| known(id)).cloned().collect()
    };
    let (before, after) = (in_both(&old, &new), in_both(&new, &old));
    for (id, content) in &new {
        let Some((_, was)) = old.iter().find(|(o, _)| o == id) else {
            differences.push(found(id, How::Added));
            continue;
        };
        let place = |ids: &[String]| ids.iter().position(|i| i == id);
        if was != content {
            differences.push(found(id, How::Changed));
        } else if place(&before) != place(&after) {
            differences.push(found(id, How::Moved));
        }
    }
    let gone = |id: &String| !new.iter().any(|(n, _)| n == id);
    let removed = old.iter().map(|(id, _)| id).filter(|id| gone(id));
    differences.extend(removed.map(|id| found(id, How::Removed)));
    differences
}

/// What something says, without where it stands in the text or in a list.
fn content(of: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(of).expect("a plan is plain data");
    without_places(&mut value);
    value
}

fn without_places(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|key, _| !["at", "undoes"].contains(&key.as_str()));
        fields.values_mut().for_each(without_places);
    }
}
