use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};

use crate::check::integrity::Integrity;
use crate::check::logs::{self, Extent, Redactor};
use crate::check::queries::{self, Options};
use crate::commands::Context;
use crate::commands::rollout::{RunArgs, find_run, load_runbook, mirror_of, open_journal};
use crate::error::{Exit, Problem, Result};
use crate::incident::requests::{self, Failed};
use crate::incident::{Cover, Gathered, Period, Written, without_secrets};
use crate::pg::Database;
use crate::rollout::journal::{Entry, Journal, RunRow, export_text};
use crate::rollout::report::Collector;
use crate::settings::Environment;
use crate::ui::{Report, Screen, Tone, moment, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Writes DIR/incident-NAME-TIME.tar.gz, readable by its owner only, with
  manifest.json          what is in it, with SHA-256, and what is missing and why
  logs/…                 what the instances' logs say of trouble (log of each target)
  decisions.jsonl        the requests that were denied, from the decision log
  failed-requests.json   ids of failed requests: denied, named by checks, named by logs
  journal/…              the run's journal, checked by `dbctl rollout log --verify`, and its report
  verification.json      what the verification queries of the runbook say now
  security-check.json    what `dbctl security check` says now
  targets.json           what the toggles say, and what the instances say themselves
  settings.toml          the settings, without secrets

Of every environment, or of --env alone. Anything that does not answer is listed as missing and
does not hold up the rest. Everything is looked through for secrets before it is written.

Exit status: 0 everything was collected, 4 the archive was written and something is missing.

Example:
  dbctl incident export incidents
  dbctl --env production incident export incidents --since 2h --until 30m
  dbctl incident export incidents --run 7f3c1a")]
pub struct ExportArgs {
    /// Folder for the archive; made, closed to others, where it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// From when on: a time (2026-11-24T13:00Z) or how long ago (2h) [default: the beginning of the
    /// run, without one a day ago]
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<Timestamp>,
    /// Until when, in the same words [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<Timestamp>,
    #[command(flatten)]
    run: RunArgs,
}

/// A time, or a duration before now.
fn parse_moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let ago = crate::settings::parse_duration(text).map_err(|_| {
        format!("`{text}` is neither a time such as 2026-11-24T13:00Z nor how long ago, such as 2h")
    })?;
    Timestamp::now().checked_sub(ago).map_err(|e| e.to_string())
}

#[derive(Serialize)]
#[serde(transparent)]
struct Exported(Written);

pub async fn run(args: ExportArgs, context: &Context) -> Result<Exit> {
    let settings = &context.settings;
    let environments: Vec<&Environment> = match &settings.env_name {
        Some(_) => vec![settings.environment(None)?],
        None => settings.config.environments.values().collect(),
    };
    let made_at = Timestamp::now();
    let secrets: Vec<SecretString> = environments
        .iter()
        .flat_map(|env| logs::secrets(&settings.config, env))
        .collect();
    let mut collecting = Collecting {
        context,
        redactor: Redactor::new(&secrets),
        secrets: &secrets,
        gathered: Gathered::default(),
        failed: BTreeSet::new(),
        runs: Vec::new(),
    };
    let run = collecting.journal(&args).await?;
    let day = jiff::SignedDuration::from_hours(24);
    let period = Period {
        since: args
            .since
            .or_else(|| {
                Timestamp::from_millisecond(i64::try_from(run.as_ref()?.opened_ms).ok()?).ok()
            })
            .unwrap_or_else(|| made_at.checked_sub(day).unwrap_or(Timestamp::MIN)),
        until: args.until.unwrap_or(made_at),
    };
    if period.since >= period.until {
        return Err(Problem::new(
            Exit::Usage,
            "collecting what belongs to the incident",
            format!(
                "--since {} is not before --until {}",
                period.since, period.until
            ),
        )
        .next("times are UTC unless they say otherwise"));
    }
    if environments.is_empty() {
        let why = "the settings file names none";
        collecting.gathered.missing("environments", why);
    }
    for env in &environments {
        context.ui.status(format_args!(
            "{}: logs, decisions, queries",
            printable(&env.name)
        ));
        collecting.environment(env, period).await;
    }
    collecting.settings();
    let Collecting {
        mut gathered,
        failed,
        runs,
        redactor,
        ..
    } = collecting;
    let what = "ids of failed requests, and who names them";
    gathered.json("failed-requests.json", what, &failed, &redactor);
    let cover = Cover {
        name: match environments.as_slice() {
            [env] => plain(&env.name),
            [] | [..] => "all".to_owned(),
        },
        made_at,
        period,
        environments: environments.iter().map(|e| e.name.clone()).collect(),
        runs,
    };
    let written = gathered.write(&args.dir, cover, &redactor)?;
    let exit = match written.manifest.missing.is_empty() {
        true => Exit::Ok,
        false => Exit::Unavailable,
    };
    context.ui.report(&Exported(written))?;
    Ok(exit)
}

/// A name as a part of a file's name.
fn plain(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    name.chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

struct Collecting<'a> {
    context: &'a Context,
    redactor: Redactor<'a>,
    secrets: &'a [SecretString],
    gathered: Gathered,
    failed: BTreeSet<Failed>,
    runs: Vec<String>,
}

impl Collecting<'_> {
    /// The journal of the run that is meant; the run, where there is one.
    ///
    /// # Errors
    /// A run that was named and is not there.
    async fn journal(&mut self, args: &ExportArgs) -> Result<Option<RunRow>> {
        let opened = match open_journal(self.context).await {
            Err(problem) if problem.exit() == Exit::Unavailable => {
                self.gathered.failed("journal", &problem);
                match mirror_of(&args.run, self.context).await {
                    Ok(mirror) => mirror.map(|(journal, _)| journal),
                    Err(problem) => {
                        self.gathered
                            .failed("journal's mirror on this machine", &problem);
                        None
                    }
                }
            }
            Err(problem) => {
                self.gathered.failed("journal", &problem);
                None
            }
            Ok(journal) => Some(journal),
        };
        let Some(journal) = opened else {
            return match &args.run.run {
                Some(run) => Err(Problem::new(
                    Exit::Usage,
                    format!("looking for run {run}"),
                    "there is no journal here",
                )
                .next("run it where the run was driven, or leave --run out")),
                None => Ok(None),
            };
        };
        let row = match find_run(&journal, &args.run).await {
            Ok(row) => row,
            Err(problem) if args.run.run.is_some() => return Err(problem),
            Err(problem) => {
                self.gathered.failed("journal", &problem);
                return Ok(None);
            }
        };
        if let Err(problem) = self.events(&journal, &row).await {
            self.gathered
                .failed(format!("journal of run {}", row.run), &problem);
        }
        Ok(Some(row))
    }

    async fn events(&mut self, journal: &Journal, row: &RunRow) -> Result<()> {
        let entries: Vec<Entry> = journal.entries(&row.run).await?;
        let path = format!("journal/{}.jsonl", row.run);
        let what = format!("{} events of run {}", entries.len(), row.run);
        let text = export_text(&row.run, &entries);
        if self.gathered.text(&path, what, &text, &self.redactor) > 0 {
            self.gathered.missing(
                format!("{path}, as it is"),
                "it holds what looks like a secret; masked, its chain cannot be checked any more",
            );
        }
        self.runs.push(row.run.to_string());
        self.failed.extend(requests::of_run(&entries));
        let mut collector = Collector::default();
        entries.iter().try_for_each(|entry| collector.take(entry))?;
        let report = collector.finish(crate::rollout::engine::now_ms())?;
        let path = format!("journal/{}.report.json", row.run);
        self.gathered
            .json(path, "the report of the run", &report, &self.redactor);
        Ok(())
    }

    async fn environment(&mut self, env: &Environment, period: Period) {
        for target in &env.targets {
            self.log(env, target, period).await;
        }
        self.targets(env).await;
        let database = match Database::resolve(&self.context.settings, Some(env), &|_| {}) {
            Ok(database) => database,
            Err(problem) => {
                return self
                    .gathered
                    .failed(format!("database of {}", env.name), &problem);
            }
        };
        if let Err(problem) = database.check().await {
            let what = format!(
                "decisions.jsonl, verification.json and security-check.json of {}",
                env.name
            );
            return self.gathered.failed(what, &problem);
        }
        if let Err(problem) = self.decisions(env, &database, period).await {
            let what = format!("decisions.jsonl of {}", env.name);
            self.gathered.failed(what, &problem);
        }
        self.queries(env, &database).await;
        let checks = Integrity::new(&self.context.settings, Some(env), &database)
            .run()
            .await;
        let path = format!("{}/security-check.json", plain(&env.name));
        let what = "what `dbctl security check` says";
        self.gathered.json(path, what, &checks, &self.redactor);
    }

    async fn log(&mut self, env: &Environment, target: &crate::settings::Target, period: Period) {
        let name = format!("{}/{}", env.name, target.name);
        let Some(config) = &target.log else {
            let why = "the settings name no log of this target: log = { file = \"…\" } or { run = [\"journalctl\", …] }";
            return self.gathered.missing(format!("log of {name}"), why);
        };
        let ms = |at: Timestamp| u64::try_from(at.as_millisecond()).unwrap_or(0);
        let window = ms(period.since)..=ms(period.until);
        let read = logs::read_more(
            config,
            name.clone(),
            window,
            self.secrets,
            &Extent::INCIDENT,
        );
        let (excerpt, cut) = read.await;
        if let Some(why) = &excerpt.why {
            return self.gathered.missing(format!("log of {name}"), why);
        }
        let kept = excerpt.lines.len();
        if cut || (kept as u64) < excerpt.matched {
            self.gathered.missing(
                format!("log of {name}, whole"),
                format!(
                    "{kept} of {} lines that speak of trouble are kept{}",
                    excerpt.matched,
                    if cut {
                        ", and only the end of the log was read"
                    } else {
                        ""
                    }
                ),
            );
        }
        let lines = excerpt.lines.iter().map(|l| l.text.clone() + "\n");
        let text: String = lines.collect();
        let path = format!("logs/{}/{}.log", plain(&env.name), plain(&target.name));
        let what = format!("lines of {} that speak of trouble", excerpt.source);
        self.gathered.text(path, what, &text, &self.redactor);
        self.failed
            .extend(excerpt.request_ids.into_iter().map(|request_id| Failed {
                request_id,
                source: format!("log {name}"),
                what: String::new(),
            }));
    }

    /// What each target's toggles say, and what it says itself.
    async fn targets(&mut self, env: &Environment) {
        let fleet = match crate::carry::over::Fleet::everyone(env) {
            Ok(fleet) => fleet,
            Err(problem) => {
                return self
                    .gathered
                    .failed(format!("targets.json of {}", env.name), &problem);
            }
        };
        let mut all = Vec::new();
        for (member, health) in fleet.all(|m| m.client.health()).await {
            let target = &member.target;
            let toggles = crate::toggle::read(target).map(|read| read.modes);
            if let Err(problem) = &toggles {
                self.gathered
                    .failed(format!("toggles of {}/{}", env.name, target.name), problem);
            }
            if let Err(failed) = &health {
                self.gathered.missing(
                    format!("what {}/{} says of itself", env.name, target.name),
                    failed,
                );
            }
            all.push(json!({
                "target": target.name,
                "toggles": toggles.ok(),
                "says": health.ok(),
            }));
        }
        let path = format!("{}/targets.json", plain(&env.name));
        let what = "toggles in the env files, and what the instances say";
        self.gathered
            .json(path, what, &Value::Array(all), &self.redactor);
    }

    async fn decisions(
        &mut self,
        env: &Environment,
        database: &Database,
        period: Period,
    ) -> Result<()> {
        let (denied, all) = requests::denied(database, period).await?;
        if (denied.len() as i64) < all {
            self.gathered.missing(
                format!("decisions.jsonl of {}, whole", env.name),
                format!("the newest {} of {all} denied requests are kept: narrow it by --since and --until", denied.len()),
            );
        }
        let lines = denied
            .iter()
            .map(|d| serde_json::to_string(d).expect("plain data") + "\n");
        let text: String = lines.collect();
        let path = format!("{}/decisions.jsonl", plain(&env.name));
        let what = format!("{} denied requests", denied.len());
        self.gathered.text(path, what, &text, &self.redactor);
        self.failed.extend(denied.into_iter().map(|d| Failed {
            request_id: d.request_id,
            source: format!("decision of {}", env.name),
            what: format!("{}: {}", d.action, d.reason_code),
        }));
        Ok(())
    }

    async fn queries(&mut self, env: &Environment, database: &Database) {
        let runbook = match load_runbook(None, self.context) {
            Ok(runbook) => runbook,
            Err(problem) => return self.gathered.failed("verification.json", &problem),
        };
        let options = Options {
            document: runbook.path.display().to_string(),
            ..Options::default()
        };
        // Without the last looks: an incident changes nothing that a rollout compares with.
        let results = queries::run(database, &runbook.queries, &options).await;
        let path = format!("{}/verification.json", plain(&env.name));
        let what = format!("the verification queries of {}", runbook.name);
        self.gathered.json(path, what, &results, &self.redactor);
    }

    fn settings(&mut self) {
        let Some(file) = &self.context.settings.file else {
            return self
                .gathered
                .missing("settings.toml", "there is no settings file");
        };
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let text = without_secrets(&text, &self.redactor);
                let what = "the settings, without secrets and comments";
                self.gathered
                    .text("settings.toml", what, &text, &self.redactor);
            }
            Err(e) => self.gathered.missing("settings.toml", e),
        }
    }
}

impl Report for Exported {
    const SCHEMA: &'static str = "dbctl.incident.export/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let Written {
            file,
            bytes,
            sha256,
            manifest,
        } = &self.0;
        let name = printable(&file.display().to_string());
        writeln!(out, "{}", out.tone(Tone::Strong, name))?;
        let ms = |at: Timestamp| u64::try_from(at.as_millisecond()).unwrap_or(0);
        writeln!(out, "  from   {}", moment(ms(manifest.period.since)))?;
        writeln!(out, "  until  {}", moment(ms(manifest.period.until)))?;
        writeln!(out, "  sha256 {sha256}  {bytes} bytes")?;
        writeln!(out)?;
        for part in &manifest.files {
            let masked = match part.masked {
                0 => String::new(),
                n => format!(", {n} secrets masked"),
            };
            let text = format!("{}{masked}", part.what);
            out.hanging(
                &format!("  {:<32} ", printable(&part.path)),
                &printable(&text),
            )?;
        }
        if !manifest.missing.is_empty() {
            writeln!(out)?;
            writeln!(out, "{}", out.tone(Tone::Unsure, "missing:"))?;
        }
        for missing in &manifest.missing {
            let text = format!("{}: {}", missing.what, missing.why);
            out.wrapped(2, &printable(&text))?;
            if let Some(next) = &missing.next {
                out.wrapped(4, &printable(&format!("next: {next}")))?;
            }
        }
        writeln!(out)?;
        writeln!(
            out,
            "{} files, {} missing",
            manifest.files.len(),
            manifest.missing.len()
        )
    }
}
