//! Whether this node runs TypeScript, by stripping its types.
//!
//! It came behind a flag with Node 22.6 and became the default with 22.18 and 23.6 (nodejs.org,
//! "Modules: TypeScript", history).

use crate::Refusal;

/// Node's version: major, minor, patch.
pub type NodeVersion = (u32, u32, u32);

/// How a version of node comes to strip types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stripping {
    /// By itself.
    Default,
    /// With this flag.
    Flag(&'static str),
    /// Not at all.
    Unavailable,
}

/// How node of `version` comes to strip types.
pub const fn type_stripping(version: NodeVersion) -> Stripping {
    match version {
        (24.., _, _) | (23, 6.., _) | (22, 18.., _) => Stripping::Default,
        (23, _, _) | (22, 6.., _) => Stripping::Flag("--experimental-strip-types"),
        (_, _, _) => Stripping::Unavailable,
    }
}

/// The flag to add for a TypeScript `script`, if any.
///
/// Where `node_args` bring a loader, or settle the matter themselves, nothing is added and nothing
/// refused: the loader may be one for TypeScript, of which there are many.
pub fn type_stripping_flag(
    script: &str,
    version: NodeVersion,
    node_args: &[String],
) -> Result<Option<&'static str>, Refusal> {
    if node_args.iter().any(|arg| settles_types(arg)) {
        return Ok(None);
    }
    match type_stripping(version) {
        Stripping::Default => Ok(None),
        Stripping::Flag(flag) => Ok(Some(flag)),
        Stripping::Unavailable => {
            Err(Refusal::NoTypeStripping { script: script.to_owned(), version })
        }
    }
}

fn settles_types(arg: &str) -> bool {
    let name = arg.split_once('=').map_or(arg, |(name, _)| name);
    matches!(
        name,
        "-r" | "--require"
            | "--import"
            | "--loader"
            | "--experimental-loader"
            | "--strip-types"
            | "--experimental-strip-types"
            | "--experimental-transform-types"
            | "--no-strip-types"
            | "--no-experimental-strip-types"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAG: Stripping = Stripping::Flag("--experimental-strip-types");

    #[test]
    fn versions() {
        let cases = [
            ((18, 20, 8), Stripping::Unavailable),
            ((22, 5, 9), Stripping::Unavailable),
            ((22, 6, 0), FLAG),
            ((22, 17, 9), FLAG),
            ((22, 18, 0), Stripping::Default),
            ((23, 0, 0), FLAG),
            ((23, 5, 9), FLAG),
            ((23, 6, 0), Stripping::Default),
            ((24, 0, 0), Stripping::Default),
            ((26, 10, 0), Stripping::Default),
        ];
        for (version, expected) in cases {
            assert_eq!(type_stripping(version), expected, "{version:?}");
        }
    }

    #[test]
    fn a_loader_is_left_alone() {
        let flag = |version, args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            type_stripping_flag("app.ts", version, &args)
        };
        assert_eq!(flag((22, 10, 0), &[]), Ok(Some("--experimental-strip-types")));
        assert_eq!(flag((22, 10, 0), &["--inspect"]), Ok(Some("--experimental-strip-types")));
        assert_eq!(flag((22, 10, 0), &["--import=tsx"]), Ok(None));
        assert_eq!(flag((18, 0, 0), &["--import", "tsx"]), Ok(None));
        assert_eq!(flag((24, 0, 0), &[]), Ok(None));
        let refusal = flag((20, 1, 2), &[]).unwrap_err().to_string();
        assert!(refusal.contains("node 20.1.2") && refusal.contains("22.18"), "{refusal}");
    }
}
