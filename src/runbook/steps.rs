//! The kinds of steps and their keys.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::DeTable;

use super::bindings::{Common, Kind, Part, StepDraft, name};
use super::fields::{Argv, Fields, Names, OrNone, Placed};
use super::mistakes::{Mistakes, suggestion};
use super::model::StepKind;
use super::proofs::at_least_one;
use crate::runtime::toggles::{Mode, Toggle};

/// Every kind with the keys that only some kinds have. `docs/runbooks.md` describes them.
pub const KINDS: [(&str, &[&str]); 15] = [
    ("confirm", &["question"]),
    ("approve", &["approvals"]),
    ("command", &["run", "probe", "undo", "timeout"]),
    ("preflight", &[]),
    ("migrate", &[]),
    ("keys", &[]),
    ("carry", &["on"]),
    ("toggles", &["on", "set", "restart"]),
    ("restart", &["on"]),
    ("smoke", &["on", "checks"]),
    ("verify", &["queries"]),
    ("integrity", &[]),
    ("bake", &["on", "for", "extend_at_most", "gates"]),
    ("recover", &["on", "timeout"]),
    ("rehearse", &["on"]),
];

/// The smoke checks, by the names that `dbctl smoke` gives them.
pub const SMOKE_CHECKS: [&str; 6] = [
    "issue-token",
    "verify-token",
    "revoke-token",
    "revoke-session",
    "nonce",
    "persistence",
];

/// How long a command may take unless it says otherwise.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long authentication may take to work again after a rollback, unless the step says otherwise.
const RECOVER_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// Reads the keys of one step.
pub fn read(mut common: Common, mistakes: &mut Mistakes) -> StepDraft {
    let part = part(&mut common.fields, mistakes);
    let named = |common: &mut Common, key, what, mistakes: &mut Mistakes| {
        let given = common.fields.get::<String>(key, mistakes)?;
        name(&given, what, mistakes);
        Some(given)
    };
    let env = named(&mut common, "env", "an environment", mistakes);
    let phase = named(&mut common, "phase", "a phase", mistakes);
    place(&common, part, env.as_ref(), phase.as_ref(), mistakes);
    let word = common.fields.need::<String>("kind", "\"smoke\"", mistakes);
    let mut kind = None;
    if let Some(word) = word {
        let known = KINDS.map(|(name, _)| name);
        if known.contains(&word.value.as_str()) {
            kind = self::kind(&word.value, part, &mut common, mistakes);
            one_environment(&word, kind.as_ref(), part, env.as_ref(), &common, mistakes);
            common
                .fields
                .finish(mistakes, |key| elsewhere(key, &word.value));
        } else {
            mistakes.add(
                word.span,
                format_args!("there is no kind of step called `{}`", word.value),
                "unknown kind",
                suggestion(&word.value, &known),
            );
        }
    }
    StepDraft {
        id: common.id,
        section: common.fence.section,
        part,
        phase,
        env,
        kind,
        info: common.fence.info.clone(),
        span: common.fence.span.clone(),
    }
}

fn part(fields: &mut Fields, mistakes: &mut Mistakes) -> Part {
    let Some(word) = fields.get::<String>("part", mistakes) else {
        return Part::Forward;
    };
    match word.value.as_str() {
        "rollback" => Part::Rollback,
        "afterwards" => Part::Afterwards,
        other => {
            mistakes.add(
                word.span,
                format_args!("`part` cannot be `{other}`"),
                "unknown part",
                match suggestion(other, &["rollback", "afterwards"]) {
                    hint if hint.starts_with("did") => hint,
                    hint => hint + "; a step of the rollout itself has no `part`",
                },
            );
            Part::Forward
        }
    }
}

/// Which of `env` and `phase` a step of this part must and may have.
fn place(
    common: &Common,
    part: Part,
    env: Option<&Placed<String>>,
    phase: Option<&Placed<String>>,
    mistakes: &mut Mistakes,
) {
    let superfluous = |what: &Placed<String>, cause: &str, hint: &str, mistakes: &mut Mistakes| {
        mistakes.add(what.span.clone(), cause, "not here", hint);
    };
    match part {
        Part::Forward => {
            if phase.is_none() && !common.fields.has("phase") {
                common.fields.missing("phase", "\"staging\"", mistakes);
            }
            if env.is_none() && !common.fields.has("env") {
                common.fields.missing("env", "\"staging\"", mistakes);
            }
        }
        Part::Rollback => {
            if let Some(env) = env {
                superfluous(
                    env,
                    "a step of the rollback has no `env`",
                    "take it away: a rollback acts wherever this run has switched something",
                    mistakes,
                );
            }
        }
        // Without one it acts wherever the run had switched something.
        Part::Afterwards => {}
    }
    if let (Part::Rollback | Part::Afterwards, Some(phase)) = (part, phase) {
        superfluous(
            phase,
            "only a step of the rollout itself has a `phase`",
            "take it away, or take `part` away",
            mistakes,
        );
    }
}

/// What a rollback never does, and what needs one environment to do it in.
fn one_environment(
    word: &Placed<String>,
    kind: Option<&StepKind>,
    part: Part,
    env: Option<&Placed<String>>,
    common: &Common,
    mistakes: &mut Mistakes,
) {
    let prepares = matches!(
        kind,
        Some(StepKind::Preflight | StepKind::Migrate | StepKind::Keys)
    );
    let needs_postgres = prepares || matches!(kind, Some(StepKind::Integrity));
    match part {
        Part::Rollback if needs_postgres => mistakes.add(
            word.span.clone(),
            format_args!("a rollback has no step of the kind `{}`", word.value),
            "not here",
            "it would have to wait for Postgres; move it to part = \"afterwards\"",
        ),
        Part::Afterwards if prepares && env.is_none() && !common.fields.has("env") => {
            common.fields.missing("env", "\"staging\"", mistakes);
        }
        Part::Forward | Part::Rollback | Part::Afterwards => {}
    }
}

/// The kinds at which a key is at home.
fn elsewhere(key: &str, kind: &str) -> Option<String> {
    let homes: Vec<&str> = KINDS
        .iter()
        .filter(|(_, keys)| keys.contains(&key))
        .map(|(name, _)| *name)
        .collect();
    (!homes.is_empty()).then(|| {
        format!(
            "`{kind}` does not know it; it belongs to: {}",
            homes.join(", ")
        )
    })
}

/// More than a few people are not found at a bad hour.
const MOST_APPROVALS: u64 = 9;

fn approvals(fields: &mut Fields, mistakes: &mut Mistakes) -> u32 {
    let Some(given) = fields.get::<u64>("approvals", mistakes) else {
        return 1;
    };
    match u32::try_from(given.value) {
        Ok(count) if (1..=MOST_APPROVALS).contains(&given.value) => count,
        Ok(_) | Err(_) => {
            mistakes.add(
                given.span,
                format_args!("`approvals` is a number of people from 1 to {MOST_APPROVALS}"),
                "out of range",
                "how many different people have to approve: approvals = 2",
            );
            1
        }
    }
}

fn kind(word: &str, part: Part, common: &mut Common, mistakes: &mut Mistakes) -> Option<StepKind> {
    Some(match word {
        "confirm" => StepKind::Confirm {
            question: common
                .fields
                .get::<String>("question", mistakes)
                .map_or_else(|| common.heading.clone(), |q| q.value),
        },
        "approve" => StepKind::Approve {
            approvals: approvals(&mut common.fields, mistakes),
        },
        "command" => return command(&mut common.fields, mistakes),
        "preflight" => StepKind::Preflight,
        "migrate" => StepKind::Migrate,
        "keys" => StepKind::Keys,
        "carry" => StepKind::Carry {
            on: on(common, mistakes),
        },
        "toggles" => {
            let default = match part {
                Part::Forward | Part::Afterwards => "postgres",
                Part::Rollback => "local",
            };
            StepKind::Toggles {
                on: on(common, mistakes),
                set: toggles(&mut common.fields, default, mistakes),
                restart: common
                    .fields
                    .get::<bool>("restart", mistakes)
                    .is_none_or(|r| r.value),
            }
        }
        "restart" => StepKind::Restart {
            on: on(common, mistakes),
        },
        "smoke" => StepKind::Smoke {
            on: on(common, mistakes),
            checks: checks(common, mistakes),
        },
        "verify" => {
            let queries = common.fields.get::<Names>("queries", mistakes);
            StepKind::Verify {
                queries: common.refer(Kind::Query, queries),
            }
        }
        "integrity" => StepKind::Integrity,
        "bake" => return bake(common, mistakes),
        "recover" => StepKind::Recover {
            on: on(common, mistakes),
            timeout: timeout(&mut common.fields, RECOVER_TIMEOUT, mistakes),
        },
        "rehearse" => StepKind::Rehearse {
            on: on(common, mistakes),
        },
        _ => return None,
    })
}

fn checks(common: &mut Common, mistakes: &mut Mistakes) -> Vec<String> {
    let names = common.fields.get::<Names>("checks", mistakes);
    let names = at_least_one(names, "checks", mistakes);
    let mut known = Vec::new();
    for item in names.into_iter().flat_map(|n| n.value) {
        let span = common.fence.place(item.span());
        let name = item.into_inner();
        if !SMOKE_CHECKS.contains(&name.as_str()) {
            mistakes.add(
                span,
                format_args!("there is no smoke check called `{}`", name.escape_debug()),
                "unknown check",
                suggestion(&name, &SMOKE_CHECKS),
            );
        }
        known.push(name);
    }
    known
}

fn command(fields: &mut Fields, mistakes: &mut Mistakes) -> Option<StepKind> {
    let run = fields.need::<Argv>("run", "[\"./deploy.sh\", \"staging\"]", mistakes);
    let probe = fields.get::<Argv>("probe", mistakes);
    let undo = fields.get::<Argv>("undo", mistakes);
    let timeout = timeout(fields, COMMAND_TIMEOUT, mistakes);
    Some(StepKind::Command {
        run: run?.value.0,
        probe: probe.map(|p| p.value.0),
        undo: undo.map(|u| u.value.0),
        timeout,
    })
}

fn bake(common: &mut Common, mistakes: &mut Mistakes) -> Option<StepKind> {
    let on = on(common, mistakes);
    let duration = common.fields.need::<Duration>("for", "\"30m\"", mistakes);
    let gates = common
        .fields
        .need::<Names>("gates", "[\"auth-errors\"]", mistakes);
    let gates = at_least_one(gates, "gates", mistakes);
    let gates = common.refer(Kind::Gate, gates);
    let extend = common.fields.get::<OrNone>("extend_at_most", mistakes);
    let duration = duration?.value;
    Some(StepKind::Bake {
        on,
        duration,
        extend: extend.map_or(duration, |e| e.value.0),
        gates,
    })
}

fn timeout(fields: &mut Fields, default: Duration, mistakes: &mut Mistakes) -> Duration {
    let given = fields.get::<Duration>("timeout", mistakes);
    given.map_or(default, |t| t.value)
}

fn on(common: &mut Common, mistakes: &mut Mistakes) -> Vec<String> {
    let names = common.fields.get::<Names>("on", mistakes);
    // An empty list would mean all of them, which nobody means who writes it.
    at_least_one(names, "on", mistakes)
        .map(|n| n.value.into_iter().map(|s| s.into_inner()).collect())
        .unwrap_or_default()
}

/// The key `set`: `"postgres"`, `"local"` (memory/file) or a table of toggles.
pub fn toggles(
    fields: &mut Fields,
    default: &str,
    mistakes: &mut Mistakes,
) -> BTreeMap<Toggle, Mode> {
    let all = |word: &str| match word {
        "postgres" => Some(Toggle::ALL.map(|t| (t, Mode::Postgres)).into()),
        "local" => Some(Toggle::ALL.map(|t| (t, t.local())).into()),
        _ => None,
    };
    let Some(raw) = fields.raw("set") else {
        return all(default).unwrap_or_default();
    };
    if let Some(table) = raw.value.as_table() {
        let inner = fields.inner(table, raw.span, "`set`");
        return toggle_table(&inner, table, mistakes);
    }
    let word = raw.value.as_str();
    if let Some(set) = word.and_then(all) {
        return set;
    }
    mistakes.add(
        raw.span,
        "`set` is neither \"postgres\" nor \"local\" nor a table of toggles",
        "unknown",
        match word {
            Some(word) => suggestion(word, &["postgres", "local"]),
            None => "write set = \"postgres\" or set = { SECURITY_REVOCATION_MODE = \"postgres\" }"
                .into(),
        },
    );
    BTreeMap::new()
}

fn toggle_table(
    inner: &Fields,
    table: &DeTable,
    mistakes: &mut Mistakes,
) -> BTreeMap<Toggle, Mode> {
    let mut set = BTreeMap::new();
    if table.is_empty() {
        mistakes.add(
            inner.span(),
            "`set` is empty",
            "sets nothing",
            "name at least one toggle",
        );
    }
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let Some(toggle) = Toggle::ALL.into_iter().find(|t| t.name() == name) else {
            mistakes.add(
                inner.place(key.span()),
                format_args!("`{}` is not a toggle", name.escape_debug()),
                "unknown toggle",
                format_args!("known: {}", Toggle::ALL.map(Toggle::name).join(", ")),
            );
            continue;
        };
        let mode = value
            .get_ref()
            .as_str()
            .map(|text| (text, toggle.parse_mode(text)));
        match mode {
            Some((_, Ok(mode))) => {
                set.insert(toggle, mode);
            }
            _ => mistakes.add(
                inner.place(value.span()),
                format_args!("{toggle} does not know this value"),
                "unknown value",
                format_args!("it is \"{}\" or \"postgres\"", toggle.local()),
            ),
        }
    }
    set
}
