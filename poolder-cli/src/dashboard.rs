//! The command `poolder dashboard`: the pages, on an address.

use clap::Args;
use poolder_web::{Dashboard, ServeOptions, serve};
use tokio::net::TcpListener;

use crate::args::Common;
use crate::failure::{Exit, Failure};
use crate::metrics::terminated;
use crate::output::{Report, remark};

#[derive(Debug, Args)]
pub(crate) struct DashboardArgs {
    /// The address to listen on. One that other hosts can reach needs a token in
    /// POOLDER_WEB_TOKEN, or --i-have-my-own-auth.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8377")]
    listen: String,
    /// The path under which a reverse proxy shows the dashboard, such as /ops/jobs.
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Allow no change.
    #[arg(long)]
    read_only: bool,
    /// Show no payload.
    #[arg(long)]
    hide_payloads: bool,
    /// A name under which visitors reach the dashboard, beside those of this host.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Listen without a token: a proxy before the dashboard decides who may come in.
    #[arg(long)]
    i_have_my_own_auth: bool,
}

/// Serves the dashboard until the process gets a signal.
pub(crate) async fn run(common: &Common, args: &DashboardArgs) -> Result<Report, Failure> {
    let client = common.client().await?;
    let mut dashboard = Dashboard::new(client);
    if let Some(prefix) = &args.prefix {
        dashboard = dashboard.prefix(prefix);
    }
    if args.read_only {
        dashboard = dashboard.read_only();
    }
    if args.hide_payloads {
        dashboard = dashboard.hide_payloads();
    }
    let mut options = args.hosts.iter().fold(ServeOptions::default(), ServeOptions::host);
    if let Some(token) = token("POOLDER_WEB_TOKEN") {
        options = options.token(token);
    }
    if let Some(token) = token("POOLDER_WEB_READ_TOKEN") {
        options = options.read_token(token);
    }
    if args.i_have_my_own_auth {
        options = options.has_other_guard();
    }
    let cannot = |error| {
        Failure::new(Exit::Failed, format!("{} cannot be listened on: {error}", args.listen))
    };
    let listener = TcpListener::bind(&args.listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let unguarded =
        |error| Failure::from(error).hint("set POOLDER_WEB_TOKEN, or add --i-have-my-own-auth");
    options.check(&address).map_err(unguarded)?;
    let path = args.prefix.as_deref().unwrap_or_default().trim_matches('/');
    let stopped = async {
        // Without signals the dashboard serves until the process is killed.
        if terminated().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    remark(&format!("serving http://{address}/{path}"));
    serve(dashboard, listener, options, stopped).await?;
    Ok(Report::new("stopped"))
}

fn token(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Args;

    /// Returns the words of a command line, as a shell reads them.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut is_quoted) = (vec![], String::new(), false);
        let mut all = line.chars();
        while let Some(c) = all.next() {
            match c {
                '\'' => is_quoted = !is_quoted,
                '\\' if !is_quoted => word.extend(all.next()),
                ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
                c => word.push(c),
            }
        }
        words.push(word);
        words
    }

    #[test]
    fn each_command_that_a_page_names_is_understood() {
        let commands = poolder_web::example_commands();
        let mut wrong = vec![];
        for (change, lines) in &commands {
            for line in lines.split(" && ") {
                if let Err(error) = Args::try_parse_from(words(line)) {
                    wrong.push(format!("{change}: {line}: {error}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(commands.len() > 60, "{}", commands.len());
        assert!(Args::try_parse_from(words("poolder queue resize mail")).is_err());
        assert_eq!(words(r"a 'b c' 'it'\''s'"), ["a", "b c", "it's"]);
    }
}
