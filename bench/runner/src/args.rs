//! The command line.

use std::path::PathBuf;

use poolder_devserver::Install;

const HELP: &str = "\
cargo xtask bench [--quick] [--rounds N] [--only a,b] [--contenders a,b] [--out DIR] [--list]

  --quick         the budget rows only, smaller, in one or two minutes
  --rounds N      how often each row is measured, interleaved; 3 unless said, 1 with --quick
  --only a,b      rows whose name starts with one of these; --list names them all
  --contenders a  only these; raw, poolder and whatever stands in bench/peers
  --peers         the peers too; without it only raw and poolder run
  --scale X       multiplies the number of jobs
  --out DIR       writes results.json, README.md and plots there; docs/benchmarks is the place
  --yes           install what is missing without asking
  --check         counts instructions per job instead, of client and server, and compares them
                  with the baselines of this toolchain and of this server in
                  bench/baseline.json; fails when one is over 2 % worse (the client's
                  `run`: 5 %), or over 1 % worse with metrics than without
  --record        as --check, and makes what it finds the baseline
";

/// The parsed command line.
#[derive(Debug)]
pub struct Args {
    pub quick: bool,
    pub rounds: usize,
    pub only: Vec<String>,
    pub contenders: Vec<String>,
    pub peers: bool,
    pub scale: f64,
    pub out: Option<PathBuf>,
    pub install: Install,
    pub check: bool,
    pub record: bool,
}

impl Args {
    /// Parses the command line. `--help` and `--list` print their answer and exit.
    pub fn parse() -> Result<Self, String> {
        let mut args = Self {
            quick: false,
            rounds: 0,
            only: vec![],
            contenders: vec![],
            peers: false,
            scale: 1.0,
            out: None,
            install: Install::Ask,
            check: false,
            record: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value\n\n{HELP}"));
            match word.as_str() {
                "--quick" => args.quick = true,
                "--peers" => args.peers = true,
                "--check" => args.check = true,
                "--record" => (args.check, args.record) = (true, true),
                "--yes" => args.install = Install::Yes,
                "--rounds" => args.rounds = number(&value()?)?,
                "--scale" => args.scale = number(&value()?)?,
                "--only" => args.only = list(&value()?),
                "--contenders" => args.contenders = list(&value()?),
                "--out" => args.out = Some(value()?.into()),
                "--list" => {
                    println!("{}", crate::rows::names().join("\n"));
                    std::process::exit(0);
                }
                "--help" | "-h" => {
                    print!("{HELP}");
                    std::process::exit(0);
                }
                _ => return Err(format!("{word} is not known\n\n{HELP}")),
            }
        }
        if std::env::var("CI").is_ok_and(|value| value == "true") {
            args.install = Install::Yes;
        }
        if args.rounds == 0 {
            args.rounds = if args.quick { 1 } else { 3 };
        }
        Ok(args)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}
