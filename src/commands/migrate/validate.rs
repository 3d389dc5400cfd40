use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, json};

use super::{ConventionArgs, ScratchArgs, SourceArgs, until_ctrl_c};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::migrate::catalog::Catalog;
use crate::migrate::conventions::{Convention, Reading, Script, Tree};
use crate::migrate::finding::{Finding, Layer, Level, Unjudged};
use crate::migrate::layers::{self, Judged, Wanted};
use crate::migrate::lint::Rules;
use crate::migrate::trial::{Setting, of_target, until};
use crate::migrate::{self, Source};
use crate::pg::Database;
use crate::ui::Ui;
use crate::ui::findings::{self, OutputArgs, Results, Root};

#[derive(Debug, Args)]
#[command(after_help = "\
Five layers judge the migrations, all of them unless --layer names some:
  files      names, order, encodings; with --since what git knows of them
  lint       what the text alone says: locks, rewrites, and the way around
  execution  what happens on a scratch database, on tables with rows in them
  down       up, down and up again: the schema is what it was
  again      the same schema on a second scratch database; with --against as there

Ends with status 5 when something was found from the level of --fail-on on, and with 6 when
something could not be judged. docs/validate.md tells of each layer, docs/ci.md of pipelines.

Example:
  dbctl migrate validate --dir migrations
  dbctl migrate validate --dir migrations --since origin/main --output github
  dbctl migrate validate --layer files,lint --fail-on warning")]
pub struct ValidateArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    convention: ConventionArgs,
    /// Judge only what is new since this commit of git, and what it had must be as it was
    #[arg(long, value_name = "REF")]
    since: Option<String>,
    /// Layers to judge by, with commas between them [default: all]
    #[arg(long, value_name = "LAYER", value_enum, value_delimiter = ',')]
    layer: Vec<Layer>,
    #[command(flatten)]
    scratch: ScratchArgs,
    /// Rows in each table before a migration is tried
    #[arg(long, value_name = "N", default_value_t = 3)]
    rows: usize,
    /// SQL that puts in rows of your own before the first migration that is judged
    #[arg(long, value_name = "FILE", requires = "since")]
    seed: Option<PathBuf>,
    /// Compare the schema with the one of this database, all migrations being applied there
    #[arg(long, value_name = "URL")]
    against: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub async fn run(args: ValidateArgs, context: &Context) -> Result<Exit> {
    let began = Instant::now();
    let source = args.source.source(context);
    let tree = source.tree()?;
    let reading = source.recognize(&tree, args.convention.convention)?;
    if reading.migrations.is_empty() && reading.findings.is_empty() {
        return Err(nothing(&source));
    }
    let layers = match args.layer.as_slice() {
        [] => BTreeSet::from(Layer::ALL),
        some => some.iter().copied().collect(),
    };
    let to_run = layers.iter().any(|l| *l > Layer::Lint);
    let mut beside = Beside::default();
    let mut session = context.settings.config.migrations.session.clone();
    if context.settings.env_name.is_some() || context.settings.database_url.is_some() {
        let (database, _) = context.database()?;
        beside.history(&source, &reading, &database).await?;
        let known: Vec<String> = session.keys().cloned().collect();
        let of_target = of_target(&database).await?.into_iter();
        let others = of_target.filter(|s| !known.iter().any(|k| k.eq_ignore_ascii_case(&s.name)));
        session.extend(others.map(|s| (s.name, s.value)));
    }
    let mut from = 0;
    if let Some(reference) = &args.since {
        from = beside.since(&source, &reading, reference).await?;
    }
    let session: Vec<Setting> = session
        .into_iter()
        .map(|(name, value)| Setting { name, value })
        .collect();
    let rules = match source {
        Source::BuiltIn => Rules::from(migrate::FIRST_UNRELEASED).expect("a version"),
        Source::Dir(_) => context.settings.config.migrations.lint.clone(),
    };
    let seed = args.seed.as_deref().map(script).transpose()?;
    let progress = progress(&context.ui, &reading);
    let cancel = until_ctrl_c();
    let wanted = Wanted {
        layers,
        from,
        rows: args.rows,
        seed: seed.as_ref(),
        session: &session,
        rules: &rules,
        place: args.scratch.place(&cancel),
        on: &|at| {
            let all = reading.migrations.len();
            progress.set_position((at.run * all + at.migration) as u64);
            progress.set_length((at.runs * all) as u64);
        },
    };
    let judged = layers::judge(&reading, &wanted).await;
    progress.finish_and_clear();
    let mut judged = judged?;
    if let Some(url) = &args.against {
        let live = Database::from_url("--against", url)?;
        let comparing = beside.against(&judged, &reading, &live);
        until(&cancel, comparing).await?;
    }
    judged.findings.append(&mut beside.findings);
    judged.unjudged.append(&mut beside.unjudged);
    layers::in_order(&reading, &mut judged.findings);
    let told = Told {
        source: &source,
        tree: &tree,
        reading: &reading,
        seed: seed.as_ref(),
        from,
        to_run,
        session: &session,
        judged: &judged,
        beside: &beside,
        elapsed: began.elapsed(),
    };
    told.write(&args.output, context)?;
    Ok(if args.output.fail_on.fails(&judged.findings) {
        Exit::Findings
    } else if judged.unjudged.is_empty() {
        Exit::Ok
    } else {
        Exit::Inconclusive
    })
}

fn nothing(source: &Source) -> Problem {
    let doing = format!("validating {source}");
    Problem::new(Exit::Config, doing, "there is no migration")
        .next("`dbctl migrate new NAME` creates one; --dir names another folder")
}

fn script(path: &Path) -> Result<Script> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Problem::new(Exit::Config, format!("reading {}", path.display()), e)
            .next("--seed names a file of SQL that inserts rows")
    })?;
    Ok(Script {
        path: path.display().to_string(),
        range: 0..text.len(),
        text: text.into(),
        transaction: true,
    })
}

fn progress(ui: &Ui, reading: &Reading) -> indicatif::ProgressBar {
    let bar = ui.counting(reading.migrations.len() as u64);
    let style = indicatif::ProgressStyle::with_template("{bar:30} {pos}/{len} migrations");
    bar.with_style(style.expect("a template"))
}

/// What is found by looking elsewhere than into the files: at git, at a history, at a live schema.
#[derive(Default)]
struct Beside {
    findings: Vec<Finding>,
    unjudged: Vec<Unjudged>,
    /// The database whose history they were compared with.
    compared_with: Option<String>,
    /// The database whose schema theirs was compared with.
    against: Option<String>,
}

impl Beside {
    async fn history(
        &mut self,
        source: &Source,
        reading: &Reading,
        database: &Database,
    ) -> Result<()> {
        if reading.convention != Convention::Refinery {
            self.unjudged.push(Unjudged {
                layer: Layer::Files,
                file: None,
                message: format!(
                    "the files were not compared with what is applied to {database}: that is known of refinery alone, and these are kept as {} wants it",
                    reading.convention
                ),
                next: Some(
                    "leave --env and --database-url out; dbctl migrate drift reads the histories of other tools"
                        .into(),
                ),
            });
            return Ok(());
        }
        let (files, _) = migrate::read(source)?;
        let status = migrate::status(database, &files).await?;
        for entry in &status.entries {
            let Some(problem) = entry.unsound() else {
                continue;
            };
            let cause = problem.cause().to_owned();
            let mut finding = Finding::new(Layer::Files, "history-differs", Level::Error, cause);
            finding.file.clone_from(&entry.file);
            finding.next = problem.hint().map(str::to_owned);
            self.findings.push(finding);
        }
        self.compared_with = Some(database.to_string());
        Ok(())
    }

    /// Returns the first of the migrations that is new since `reference`.
    async fn since(
        &mut self,
        source: &Source,
        reading: &Reading,
        reference: &str,
    ) -> Result<usize> {
        let Source::Dir(dir) = source else {
            let doing = format!("asking git for what is new since {reference}");
            return Err(Problem::new(
                Exit::Usage,
                doing,
                "git does not know the migrations in dbctl",
            )
            .next("--dir names a folder"));
        };
        let before = migrate::before(dir, reference, reading.convention).await?;
        self.findings.extend(migrate::since(&before, reading));
        Ok(migrate::first_new(&before, reading))
    }

    async fn against(&mut self, judged: &Judged, reading: &Reading, live: &Database) -> Result<()> {
        let Some(made) = &judged.catalog else {
            self.unjudged.push(Unjudged {
                layer: Layer::Again,
                file: None,
                message: format!(
                    "the schema was not compared with {live}: not all of the migrations ran"
                ),
                next: None,
            });
            return Ok(());
        };
        live.check().await?;
        // The live one may have another history, or none.
        let history = migrate::trial::history_table(reading.convention);
        let of_tool: Vec<&str> = history.into_iter().collect();
        let made = made.clone().without(&of_tool);
        let there = Catalog::read(live).await?.without(&of_tool);
        for difference in made.differences(&there) {
            let message = format!("the live schema differs: {difference}");
            let finding = Finding::new(Layer::Again, "live-schema-differs", Level::Error, message)
                .next(
                    "dbctl migrate drift compares with what is applied there, and shows both sides",
                );
            self.findings.push(finding);
        }
        self.against = Some(live.to_string());
        Ok(())
    }
}

/// Everything that is said of a validation.
struct Told<'a> {
    source: &'a Source,
    tree: &'a Tree,
    reading: &'a Reading,
    seed: Option<&'a Script>,
    from: usize,
    /// Whether a layer was wanted that runs them.
    to_run: bool,
    session: &'a [Setting],
    judged: &'a Judged,
    beside: &'a Beside,
    elapsed: Duration,
}

impl Told<'_> {
    fn write(&self, output: &OutputArgs, context: &Context) -> Result<()> {
        let here = std::env::current_dir().unwrap_or_default();
        let results = Results {
            folder: &self.tree.shown,
            files: &self.files(),
            findings: &self.judged.findings,
            unjudged: &self.judged.unjudged,
            summary: &self.summary(),
            about: &self.about(),
            fail_on: output.fail_on,
            root: &Root::around(here),
        };
        let mut screen = context.ui.screen();
        let shape = output.shape(context.settings.format);
        findings::write(shape, &results, &mut screen).expect("writing to a string cannot fail");
        context.ui.data(&screen.into_string())
    }

    /// The migrations in their order, and what else lies in the folder between them by its name.
    fn files(&self) -> Vec<(String, Arc<str>)> {
        let scripts = self.reading.migrations.iter().flat_map(|m| {
            let parts = [Some(&m.up), m.down.as_ref(), m.verify.as_ref()];
            parts.into_iter().flatten()
        });
        let scripts = scripts.chain(self.seed);
        let mut seen = BTreeSet::new();
        let mut files: Vec<(String, Arc<str>)> = scripts
            .filter(|script| seen.insert(script.path.as_str()))
            .map(|script| (script.path.clone(), Arc::clone(&script.text)))
            .collect();
        let others = self.tree.files.iter();
        for entry in others.filter(|entry| !seen.contains(entry.shown.as_str())) {
            let Ok(bytes) = &entry.bytes else { continue };
            let text = String::from_utf8_lossy(bytes);
            let at = files.iter().position(|(path, _)| *path > entry.shown);
            let at = at.unwrap_or(files.len());
            files.insert(at, (entry.shown.clone(), text.into()));
        }
        files
    }

    fn summary(&self) -> String {
        let all = self.reading.migrations.len();
        let seconds = self.elapsed.as_secs_f64();
        let mut said = match &self.judged.server {
            Some(server) => format!(
                "{} of {all} migrations ran on {server} in {seconds:.1} s",
                self.judged.ran
            ),
            None if self.to_run => format!("none of {all} migrations ran"),
            None => format!("{all} migrations were read"),
        };
        if matches!(self.source, Source::Dir(_)) {
            said += &format!(" · convention {}", self.reading.convention);
        }
        if self.from > 0 {
            said += &format!(" · {} of them new and judged", all - self.from);
        }
        let settings = self.session.iter();
        let settings: Vec<String> = settings
            .map(|s| format!("{} {}", s.name, s.value))
            .collect();
        if !settings.is_empty() {
            said += &format!(" · with {}", settings.join(", "));
        }
        if let Some(database) = &self.beside.compared_with {
            said += &format!(" · compared with the history of {database}");
        }
        if let Some(database) = &self.beside.against {
            said += &format!(" · compared with the schema of {database}");
        }
        said
    }

    fn about(&self) -> Map<String, serde_json::Value> {
        let session: BTreeMap<&str, &str> = self
            .session
            .iter()
            .map(|s| (s.name.as_str(), s.value.as_str()))
            .collect();
        let about = json!({
            "ok": self.judged.findings.is_empty() && self.judged.unjudged.is_empty(),
            "source": self.source.to_string(),
            "convention": self.reading.convention,
            "recognized_by": self.reading.because,
            "migrations": self.reading.migrations.len(),
            "judged_from": self.from,
            "ran": self.judged.ran,
            "ran_on": self.judged.server,
            "session": session,
            "compared_with": self.beside.compared_with,
            "against": self.beside.against,
            "elapsed_ms": self.elapsed.as_secs_f64() * 1e3,
            "facts": self.judged.facts,
        });
        match about {
            serde_json::Value::Object(about) => about,
            _ => Map::new(),
        }
    }
}
