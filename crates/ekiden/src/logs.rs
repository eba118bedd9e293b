//! Logs of daemons: lines of text or JSON on stderr, at levels that can be changed while they run.

use crate::config::{LogConfig, LogFormat};
use api::logging::{Level, Logging};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What stands for all loggers without a level of their own.
const ROOT: &str = "ROOT";

/// A library whose log could show tokens: only who starts the program may turn it on.
const SECRETIVE: &str = "rustify";

/// Writes to stderr and never fails: a daemon goes on without whoever read its logs.
#[derive(Clone, Copy)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

/// Logs from now on, panics too. Returns what changes the levels.
pub(crate) fn start(config: LogConfig) -> Arc<dyn Logging> {
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(config.filter)
        .with_writer(Stderr)
        .with_ansi(color)
        // It would report its own failures by a macro that panics.
        .log_internal_errors(false);
    let (started, reload): (_, Reload) = match config.format {
        LogFormat::Text => {
            let subscriber = subscriber.with_filter_reloading();
            let handle = subscriber.reload_handle();
            let reload = move |it| handle.reload(it).map_err(|err| err.to_string());
            (tracing::subscriber::set_global_default(subscriber.finish()), Box::new(reload))
        }
        LogFormat::Json => {
            let subscriber = subscriber.json().flatten_event(true).with_filter_reloading();
            let handle = subscriber.reload_handle();
            let reload = move |it| handle.reload(it).map_err(|err| err.to_string());
            (tracing::subscriber::set_global_default(subscriber.finish()), Box::new(reload))
        }
    };
    debug_assert!(started.is_ok(), "logs are started once");
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(thread = thread.name().unwrap_or("unnamed"), "this is a defect in Ekiden: {panic}");
    }));
    Arc::new(Levels::new(config.directives, reload))
}

/// Puts a new filter in the place of the old.
type Reload = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// The levels as configured, and those that were changed since. A clone is a handle to the same ones.
#[derive(Clone)]
struct Levels(Arc<Inner>);

struct Inner {
    configured: String,
    reload: Reload,
    changed: Mutex<BTreeMap<String, Change>>,
}

/// A level that was set while the program runs.
#[derive(Clone, Copy)]
struct Change {
    level: Level,
    /// Tells it from earlier ones of the same logger, whose time may end later.
    number: u64,
}

impl Levels {
    fn new(configured: String, reload: Reload) -> Self {
        Self(Arc::new(Inner { configured, reload, changed: Mutex::default() }))
    }

    fn changed(&self) -> MutexGuard<'_, BTreeMap<String, Change>> {
        self.0.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the filter anew: later directives win over earlier ones.
    fn apply(&self, changed: &BTreeMap<String, Change>) -> Result<(), String> {
        let mut directives = self.0.configured.clone();
        for (logger, change) in changed {
            let level = change.level.name();
            let directive = if logger == ROOT { level.to_owned() } else { format!("{logger}={level}") };
            directives = format!("{directives},{directive}");
        }
        let filter = EnvFilter::try_new(&directives).map_err(|err| err.to_string())?;
        (self.0.reload)(filter)
    }

    /// Takes a change back, unless another one came after it.
    fn take_back(&self, logger: &str, number: u64) {
        let mut changed = self.changed();
        if changed.get(logger).is_some_and(|it| it.number == number) {
            changed.remove(logger);
            match self.apply(&changed) {
                Ok(()) => tracing::info!(logger, "its log level is the configured one again"),
                Err(why) => tracing::warn!(logger, why, "its log level could not be taken back"),
            }
        }
    }
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Levels").field(&self.0.configured).finish()
    }
}

impl Logging for Levels {
    fn levels(&self) -> BTreeMap<String, String> {
        let mut levels = BTreeMap::from([(ROOT.to_owned(), Level::Error.name().to_owned())]);
        for directive in self.0.configured.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            match directive.split_once('=') {
                Some((logger, level)) => levels.insert(logger.to_owned(), level.to_lowercase()),
                None if Level::parse(directive).is_some() => levels.insert(ROOT.to_owned(), directive.to_lowercase()),
                // A logger alone, which tells all.
                None => levels.insert(directive.to_owned(), Level::Trace.name().to_owned()),
            };
        }
        levels.extend(self.changed().iter().map(|(logger, it)| (logger.clone(), it.level.name().to_owned())));
        levels
    }

    fn set(&self, logger: &str, level: Level, lasts: Option<Duration>) -> Result<(), String> {
        let is_path = logger.split("::").all(|part| {
            !part.is_empty() && part.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-'))
        });
        if !is_path {
            return Err(format!(
                "'{}' is no logger: name a module, such as scheduler, or {ROOT}",
                logger.escape_debug()
            ));
        }
        if logger.split("::").next() == Some(SECRETIVE) {
            return Err(format!("the log of '{SECRETIVE}' could show tokens: only --log can turn it on"));
        }
        let mut changed = self.changed();
        let number = changed.values().map(|it| it.number).max().unwrap_or(0) + 1;
        let before = changed.insert(logger.to_owned(), Change { level, number });
        if let Err(why) = self.apply(&changed) {
            match before {
                Some(before) => changed.insert(logger.to_owned(), before),
                None => changed.remove(logger),
            };
            return Err(why);
        }
        drop(changed);
        if let Some(lasts) = lasts {
            let (levels, logger) = (self.clone(), logger.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(lasts).await;
                levels.take_back(&logger, number);
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels, and the filter that is in place.
    fn levels(configured: &str) -> (Levels, Arc<Mutex<String>>) {
        let seen = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&seen);
        let reload = move |it: EnvFilter| {
            *shown.lock().unwrap() = it.to_string();
            Ok(())
        };
        (Levels::new(configured.to_owned(), Box::new(reload)), seen)
    }

    fn map(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(logger, level)| ((*logger).to_owned(), (*level).to_owned())).collect()
    }

    #[test]
    fn levels_are_those_of_the_configuration_and_what_was_set_since() {
        let (levels, seen) = levels("info,consulrs=WARN,rustify=off");
        assert_eq!(levels.levels(), map(&[("ROOT", "info"), ("consulrs", "warn"), ("rustify", "off")]));
        levels.set("scheduler::control", Level::Debug, None).unwrap();
        levels.set("consulrs", Level::Error, None).unwrap();
        levels.set(ROOT, Level::Warn, None).unwrap();
        let expect = [("ROOT", "warn"), ("consulrs", "error"), ("rustify", "off"), ("scheduler::control", "debug")];
        assert_eq!(levels.levels(), map(&expect));
        let filter = seen.lock().unwrap().clone();
        for directive in ["scheduler::control=debug", "consulrs=error", "rustify=off", "warn"] {
            assert!(filter.split(',').any(|it| it == directive), "{directive} is in {filter}");
        }
        assert!(!filter.split(',').any(|it| it == "info"), "{filter}");
    }

    #[test]
    fn what_is_no_logger_or_could_show_tokens_is_refused() {
        let (levels, seen) = levels("info");
        for bad in ["", "a b", "a=debug,b", "[span]", "a::", "rustify", "rustify::http"] {
            levels.set(bad, Level::Trace, None).expect_err(bad);
        }
        assert_eq!(seen.lock().unwrap().as_str(), "");
    }

    #[tokio::test]
    async fn a_level_that_was_set_for_a_time_is_taken_back() {
        let (levels, _) = levels("info");
        let moment = Some(Duration::from_millis(20));
        levels.set("api", Level::Debug, moment).unwrap();
        assert_eq!(levels.levels()["api"], "debug");
        levels.set("cluster", Level::Debug, moment).unwrap();
        levels.set("cluster", Level::Trace, None).unwrap();
        let taken_back = async {
            while levels.levels().contains_key("api") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), taken_back).await.unwrap();
        levels.take_back("cluster", 2);
        assert_eq!(levels.levels(), map(&[("ROOT", "info"), ("cluster", "trace")]), "a later change stays");
    }
}
