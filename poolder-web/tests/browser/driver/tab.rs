//! One tab of a browser, with all that went wrong in it.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http;

/// The longest time until a page shows something.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key of an element in answers of WebDriver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Notes in each new page what goes wrong. A browser keeps violations of the policy and errors of
/// scripts from pages only by events.
const WATCH: &str = "
    window.faults = [];
    addEventListener('securitypolicyviolation', (event) => faults.push(
        `violates ${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`));
    addEventListener('error', (event) => faults.push(`error: ${event.message}`));
    addEventListener('unhandledrejection', (event) => faults.push(`rejection: ${event.reason}`));
    window.alert = (text) => faults.push(`alert: ${text}`);";

/// The colours that the system of a visitor prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

impl fmt::Display for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Light { "light" } else { "dark" })
    }
}

/// A tab.
pub(crate) struct Tab {
    port: u16,
    session: String,
}

impl Tab {
    pub(super) fn new(port: u16, session: &str) -> Result<Self, String> {
        let tab = Self { port, session: session.into() };
        tab.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": WATCH }))?;
        Ok(tab)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        http::call(self.port, method, &format!("/session/{}{path}", self.session), body)
    }

    /// Calls a command of the browser's own protocol.
    pub(crate) fn devtools(&self, command: &str, arguments: &Value) -> Result<Value, String> {
        let body = json!({ "cmd": command, "params": arguments });
        self.call("POST", "/goog/cdp/execute", &body)
    }

    /// Sets the width of the window, in pixels, and the preferred colours.
    pub(crate) fn look(&self, theme: Theme, width: u32) -> Result<(), String> {
        let feature = json!({ "name": "prefers-color-scheme", "value": theme.to_string() });
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] }))?;
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size).map(|_| ())
    }

    /// Opens an address, and waits until it has loaded.
    pub(crate) fn open(&self, address: &str) -> Result<(), String> {
        self.call("POST", "/url", &json!({ "url": address })).map(|_| ())
    }

    /// Returns the address that is shown.
    pub(crate) fn address(&self) -> Result<String, String> {
        let address = self.call("GET", "/url", &Value::Null)?;
        Ok(address.as_str().unwrap_or_default().to_owned())
    }

    /// Returns the value of an expression of the page. Works without scripts of the page as well.
    pub(crate) fn value(&self, expression: &str) -> Result<Value, String> {
        let body = json!({ "script": format!("return {expression};"), "args": [] });
        self.call("POST", "/execute/sync", &body)
    }

    /// Runs a script to its end and returns the value with which it calls `done`.
    pub(crate) fn run(&self, script: &str) -> Result<Value, String> {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.call("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Returns the text of the page as it is seen.
    pub(crate) fn text(&self) -> Result<String, String> {
        let text = self.value("document.body.innerText")?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Presses an element, as a person who sees it.
    pub(crate) fn press(&self, selector: &str) -> Result<(), String> {
        let element = self.element(selector)?;
        self.call("POST", &format!("/element/{element}/click"), &http::nothing()).map(|_| ())
    }

    /// Types a text into an element.
    pub(crate) fn type_into(&self, selector: &str, text: &str) -> Result<(), String> {
        let element = self.element(selector)?;
        self.call("POST", &format!("/element/{element}/value"), &json!({ "text": text }))
            .map(|_| ())
    }

    /// Empties a field.
    pub(crate) fn clear(&self, selector: &str) -> Result<(), String> {
        let element = self.element(selector)?;
        self.call("POST", &format!("/element/{element}/clear"), &http::nothing()).map(|_| ())
    }

    /// Presses a key of the keyboard, wherever the focus is.
    pub(crate) fn key(&self, key: &str) -> Result<(), String> {
        for kind in ["keyDown", "keyUp"] {
            let press = json!({ "type": kind, "key": key, "text": if kind == "keyDown" { key } else { "" } });
            self.devtools("Input.dispatchKeyEvent", &press)?;
        }
        Ok(())
    }

    fn element(&self, selector: &str) -> Result<String, String> {
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.call("POST", "/element", &by).map_err(|error| {
            format!("{selector} on {}: {error}", self.address().unwrap_or_default())
        })?;
        Ok(found[ELEMENT].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the page shows a text.
    pub(crate) fn shows(&self, text: &str) -> Result<(), String> {
        self.until(&format!("{text:?} is shown"), || Ok(self.text()?.contains(text)))
    }

    /// Waits until a condition is true.
    pub(crate) fn until(
        &self,
        what: &str,
        is: impl Fn() -> Result<bool, String>,
    ) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        // A page that is left while it is asked answers with an error.
        while !is().unwrap_or(false) {
            if Instant::now() > end {
                let (at, text) = (self.address()?, self.text()?);
                return Err(format!("never: {what}; {at} shows:\n{text}"));
            }
            tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(50)));
        }
        Ok(())
    }

    /// Returns all that went wrong since the last call: violations of the policy, errors of scripts,
    /// and what the console says.
    pub(crate) fn faults(&self) -> Result<Vec<String>, String> {
        let seen = self.value("(window.faults || []).splice(0)").unwrap_or_default();
        let log = self.call("POST", "/se/log", &json!({ "type": "browser" }))?;
        let seen = seen.as_array().into_iter().flatten().filter_map(Value::as_str);
        let log = log.as_array().into_iter().flatten().filter(|line| line["level"] != "DEBUG");
        // A refusal is plain text, without a link to the icon.
        let log = log.filter_map(|line| line["message"].as_str());
        let log = log.filter(|line| !line.contains("/favicon.ico "));
        Ok(seen.chain(log).map(str::to_owned).collect())
    }

    /// Returns a picture of the page, as base64 of WebP.
    pub(crate) fn picture(&self, height: u32) -> Result<String, String> {
        let width = self.value("innerWidth")?;
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let how =
            json!({ "format": "webp", "quality": 82, "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", &how)?;
        Ok(picture["data"].as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let _ = self.call("DELETE", "", &Value::Null);
    }
}
