//! A plugin of somebody's own in the demo: what is played to it, and whether it did well.

use std::path::PathBuf;

use anyhow::bail;

use super::screen::Counts;
use crate::app;
use crate::config::{Config, PluginConfig};
use crate::outbox::{DeliveryFilter, DeliveryState};

/// What takes the place of the plugin that callhook brings.
#[derive(Clone, Debug)]
pub struct Own {
    /// The plugin with its settings and limits.
    pub plugin: PluginConfig,
    /// The CSV file of people.
    pub directory: Option<PathBuf>,
}

/// A play for somebody's own plugin.
pub(super) struct Stage {
    config: Config,
}

impl Own {
    /// Has the settings of the demo use this plugin.
    pub(super) fn play_in(self, config: &mut Config) -> Stage {
        for endpoint in &mut config.endpoints {
            endpoint.plugins = vec![self.plugin.name.clone()];
        }
        config.plugins = vec![self.plugin];
        config.directory = self.directory;
        Stage { config: config.clone() }
    }
}

impl Stage {
    /// Nothing waits to be sent.
    pub(super) fn is_idle(&self) -> anyhow::Result<bool> {
        Ok(self.first(DeliveryState::Waiting, 1)?.is_empty())
    }

    /// The closing lines. An error if something could not be delivered.
    pub(super) fn close(
        &self,
        say: fn(&str) -> anyhow::Result<()>,
        calls: usize,
        counts: Counts,
    ) -> anyhow::Result<()> {
        const SHOWN: usize = 20;
        let dead = self.first(DeliveryState::Dead, SHOWN)?;
        for line in &dead {
            say(&format!("\ngiven up     {line}\n"))?;
        }
        let Counts { events, delivered, .. } = counts;
        say(&format!("\n{calls} calls, {events} events, {delivered} webhooks delivered\n"))?;
        if !dead.is_empty() {
            bail!("not every event could be delivered");
        }
        if !self.is_idle()? {
            bail!("some requests still wait to be sent");
        }
        Ok(())
    }

    /// The first ones that are in this state, with the reason.
    fn first(&self, state: DeliveryState, limit: usize) -> anyhow::Result<Vec<String>> {
        let filter = DeliveryFilter { states: vec![state], ..DeliveryFilter::default() };
        let mut found = Vec::new();
        app::each(&app::deliveries(&self.config)?, filter, limit, |row| {
            found.push(format!("{}: {}", row.id, row.reason.as_deref().unwrap_or_default()));
            Ok(true)
        })?;
        Ok(found)
    }
}
