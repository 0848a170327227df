//! Chromium, driven by WebDriver: a program that clicks and types as a person does.

mod http;
mod tab;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

pub(crate) use tab::{Tab, Theme};

/// The program between the tests and Chromium. It ends with this value, and Chromium with it.
pub(crate) struct Driver {
    program: Child,
    port: u16,
    browser: String,
}

impl Driver {
    /// Starts `chromedriver` for a program of Chromium.
    pub(crate) fn start(driver: &str, browser: &str) -> Result<Self, String> {
        let mut command = Command::new(driver);
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = command.spawn().map_err(|error| format!("{driver}: {error}"))?;
        let output = program.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let port = port.ok_or_else(|| format!("{driver} does not say its port"))?;
        // It ends when its output is read no more.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { program, port, browser: browser.into() })
    }

    /// Opens a browser of its own: no cookies, no cache. Without `scripts`, pages run none.
    pub(crate) fn open(&self, scripts: bool) -> Result<Tab, String> {
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-default-apps",
            "--disable-extensions",
            "--no-first-run",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--lang=en",
        ];
        let mut options = json!({ "binary": self.browser, "args": flags });
        if !scripts {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
            "unhandledPromptBehavior": "ignore",
        } } });
        let session: Value = http::call(self.port, "POST", "/session", &wanted)?;
        let session = session["sessionId"].as_str().ok_or("a session without an id")?;
        Tab::new(self.port, session)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It closes its browsers at a request only, not at a signal.
        let _ = http::call(self.port, "GET", "/shutdown", &http::nothing());
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
