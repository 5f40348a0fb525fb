//! One pod: a real `twinscale-worker`, led through its life as the kubelet does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::guard;
use super::kubernetes::CrashBackOff;
use super::pods::PodTemplate;
use twinscale_sqs::clock::Clock;

/// How often a starting process is asked whether it is ready, by the machine's clock.
const PROBE: Duration = Duration::from_millis(10);

/// Something that happened to a pod's container.
pub enum PodChange {
    /// Its process runs, with this id.
    Started(u32),
    /// It answers at this address that it is ready.
    Ready(SocketAddr),
    /// It ended by itself, in these words.
    Ended(String),
    /// It overran its grace period, or did not drain, in these words.
    Killed(String),
}

/// The life of one pod, as the kubelet leads it.
pub struct Life {
    /// What it runs.
    pub template: Arc<PodTemplate>,
    /// Scenario time.
    pub clock: Clock,
    /// Its UID.
    pub uid: u64,
    /// What a process takes until it is Ready, which is a part of the start delay.
    pub head_start: Duration,
    /// Cancelled when it is deleted.
    pub delete: CancellationToken,
}

impl Life {
    /// Lives until it is deleted, and tells what happens.
    pub async fn live(self, note: impl Fn(PodChange)) {
        let template = &self.template;
        let clock = &self.clock;
        let mut back_off = CrashBackOff::default();
        let mut start_at = clock.now() + template.start_delay(self.uid).saturating_sub(self.head_start);
        let mut ended: Option<Duration> = None;
        loop {
            tokio::select! {
                () = self.delete.cancelled() => return,
                _ = clock.sleep_until(start_at) => {}
            }
            if let Some(ended) = ended {
                back_off.restarted(ended, clock.now());
            }
            let how = match self.run(&note).await {
                Some(how) => how,
                None => return,
            };
            let now = clock.now();
            note(PodChange::Ended(format!("a pod's worker {how} at {:.1} s and was restarted", now.as_secs_f64())));
            start_at = back_off.restart_at(now);
            ended = Some(now);
        }
    }

    /// Runs the container until it ends by itself (`Some`, in words) or the pod is deleted (`None`).
    async fn run(&self, note: &impl Fn(PodChange)) -> Option<String> {
        let template = &self.template;
        let clock = &self.clock;
        let file = |kind| template.folder.join(format!("{}-{:016x}.{kind}", template.name, self.uid));
        let addresses = Addresses { http: file("addr"), admin: file("admin") };
        for file in [&addresses.http, &addresses.admin] {
            let _ = std::fs::remove_file(file);
        }
        let mut child = match spawn(template, self.uid, &addresses) {
            Ok(child) => child,
            Err(error) => return Some(format!("could not be started ({}: {error})", template.program.display())),
        };
        let pid = child.id()?;
        let _watched = guard::watch(pid);
        note(PodChange::Started(pid));
        let ready = async {
            note(PodChange::Ready(addresses.once_ready().await));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = child.wait() => return Some(describe(ended)),
            () = self.delete.cancelled() => {}
            () = ready => {}
        }
        let grace = clock.real(template.grace_period);
        if let Err(how) = terminate(&mut child, pid, grace).await {
            note(PodChange::Killed(format!("a pod's worker {how} when it was scaled down")));
        }
        None
    }
}

/// Sends SIGTERM, and SIGKILL at the end of the grace period.
async fn terminate(child: &mut Child, pid: u32, grace: Duration) -> Result<(), String> {
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    match tokio::time::timeout(grace, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(ended) => Err(describe(ended)),
        Err(_) => {
            // It may have ended in this very moment, which is as well.
            let _ = child.kill().await;
            Err("was killed at the end of its grace period".to_owned())
        }
    }
}

fn spawn(template: &PodTemplate, uid: u64, addresses: &Addresses) -> std::io::Result<Child> {
    let mut command = Command::new(&template.program);
    command
        .env_clear()
        .envs(template.variables.iter().map(|(name, value)| (name, value)))
        .envs([("HTTP_ADDR", "127.0.0.1:0"), ("ADMIN_ADDR", "127.0.0.1:0")])
        .env("HTTP_ADDR_FILE", &addresses.http)
        .env("ADMIN_ADDR_FILE", &addresses.admin)
        // Out of the terminal's process group: Ctrl-C is for us, who then end the pods in order.
        .process_group(0)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for descriptor in [Command::stdout, Command::stderr] {
        if template.keep_logs {
            let path = template.folder.join(format!("{}-{uid:016x}.log", template.name));
            descriptor(&mut command, std::fs::File::options().create(true).append(true).open(path)?);
        } else {
            descriptor(&mut command, std::fs::File::options().write(true).open("/dev/null")?);
        }
    }
    command.spawn()
}

/// The files where a worker leaves its addresses.
struct Addresses {
    http: PathBuf,
    admin: PathBuf,
}

impl Addresses {
    /// Waits until the worker answers that it is ready; where it serves what anybody may call.
    async fn once_ready(&self) -> SocketAddr {
        let left_in = |file: &Path| std::fs::read_to_string(file).ok()?.trim().parse().ok();
        loop {
            if let (Some(http), Some(admin)) = (left_in(&self.http), left_in(&self.admin))
                && Client::new(admin).is_ok("/readyz").await
            {
                return http;
            }
            tokio::time::sleep(PROBE).await;
        }
    }
}

fn describe(ended: std::io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("ended ({status})"),
        Err(error) => format!("cannot be waited for ({error})"),
    }
}
