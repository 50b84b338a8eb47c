//! The first stage alone: watches one PBX and writes down what it tells.

use std::path::Path;

use anyhow::{Context as _, ensure};
use tokio::sync::{mpsc, watch};

use super::{NOTICES, settings};
use crate::clock::Clock;
use crate::config::{Config, PbxConfig};
use crate::metrics::Metrics;
use crate::source::callcontrol::Watcher;
use crate::source::notice::{Notice, Seen};
use crate::source::recording::{Header, VERSION, Writer};

/// Records this PBX into `file` until `shutdown` resolves, with numbers and names masked if
/// `masked`. Needs a multi-threaded tokio runtime.
pub async fn record(
    config: &Config,
    pbx: &PbxConfig,
    file: &Path,
    masked: bool,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let doing = || format!("while recording to {}", file.display());
    let metrics = Metrics::default().of_pbx(&pbx.name);
    let watcher = Watcher::new(settings::watcher(config, pbx), Clock::system(), metrics)
        .with_context(|| format!("while preparing to watch the PBX {}", pbx.name))?;
    let existed = file.exists();
    let writer = Writer::create(file, header(config, pbx, masked)).with_context(doing)?;
    let (seen, notices) = mpsc::channel(NOTICES);
    let (stop, stopped) = watch::channel(false);
    let mut writing = tokio::task::spawn_blocking(move || write_down(writer, notices));
    let watching = tokio::spawn(watcher.run(seen, stopped));
    let early = tokio::select! {
        () = shutdown => None,
        ended = &mut writing => Some(ended),
    };
    stop.send_replace(true);
    watching.await.context("while ending to watch the PBX")?;
    let written = match early {
        Some(ended) => ended,
        None => writing.await,
    };
    let notices = written.with_context(doing)?.with_context(doing)?;
    if notices == 0 {
        leave_as_found(file, existed).with_context(doing)?;
    } else {
        tracing::info!(notices, masked, "Recorded.");
    }
    ensure!(notices > 0, "the PBX was not watched in that time, so nothing was recorded");
    Ok(())
}

fn header(config: &Config, pbx: &PbxConfig, masked: bool) -> Header {
    Header {
        callhook_recording: VERSION,
        pbx: pbx.name.clone(),
        timezone: pbx.timezone.clone(),
        settle_ms: u64::try_from(pbx.settle.as_millis()).unwrap_or(u64::MAX),
        callback_wait_ms: u64::try_from(pbx.callback_wait.as_millis()).unwrap_or(u64::MAX),
        masked,
        dids: config.dids.clone(),
        dns: config.dns.clone(),
    }
}

/// Takes the first line back, so that the same command may be tried again.
fn leave_as_found(file: &Path, existed: bool) -> std::io::Result<()> {
    if !existed {
        return std::fs::remove_file(file);
    }
    // It was empty; or it is a pipe, which cannot be emptied.
    if file.is_file() { std::fs::write(file, "") } else { Ok(()) }
}

/// Writes until nobody tells anything more. Gives the number of notices.
fn write_down(
    mut writer: Writer<std::fs::File>,
    mut notices: mpsc::Receiver<Notice>,
) -> std::io::Result<u64> {
    let mut count = 0;
    while let Some(notice) = notices.blocking_recv() {
        if count == 0 && matches!(notice.what, Seen::Snapshot(_)) {
            tracing::info!("Recording; end it with Ctrl-C.");
        }
        writer.write(notice)?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn where_nothing_was_recorded_the_file_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let ini = folder.path().join("callhook.ini");
        let pbx = "[pbx]\nurl = http://127.0.0.1:9\nclient_id = a\nclient_secret = b\n";
        std::fs::write(&ini, format!("{pbx}[webhook]\nurl = http://127.0.0.1:9\n")).unwrap();
        let config = Config::load(&ini).unwrap().config;
        let (fresh, empty) = (folder.path().join("fresh"), folder.path().join("empty"));
        std::fs::write(&empty, "").unwrap();
        for file in [&fresh, &empty, &fresh, &empty] {
            let pbx = config.pbxs.first().unwrap();
            let error = record(&config, pbx, file, false, async {}).await.unwrap_err();
            assert!(error.to_string().contains("nothing was recorded"), "{error:#}");
        }
        assert!(!fresh.exists());
        assert_eq!(std::fs::read(&empty).unwrap(), b"");
    }
}
