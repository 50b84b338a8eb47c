//! What a new project is made of: the examples, and the contract. Both are part of the program.

/// The contract.
pub(super) const WIT: &[(&str, &str)] = &[
    ("about.wit", include_str!("../../../wit/about.wit")),
    ("directory.wit", include_str!("../../../wit/directory.wit")),
    ("log.wit", include_str!("../../../wit/log.wit")),
    ("memory.wit", include_str!("../../../wit/memory.wit")),
    ("reply.wit", include_str!("../../../wit/reply.wit")),
    ("settings.wit", include_str!("../../../wit/settings.wit")),
    ("transform.wit", include_str!("../../../wit/transform.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// A language in which plugins can be written.
#[derive(Debug)]
pub struct Language {
    /// The name of its example's folder.
    pub name: &'static str,
    /// As it is typed.
    pub short: &'static str,
    /// The files of its example, by their paths in its folder.
    pub(super) files: &'static [(&'static str, &'static str)],
}

macro_rules! languages {
    ($($name:literal $short:literal: $($file:literal)+;)+) => {
        &[$(Language {
            name: $name,
            short: $short,
            files: &[$((
                $file,
                include_str!(concat!("../../../examples/", $name, "/", $file)),
            ),)+],
        },)+]
    };
}

/// All of them.
pub const LANGUAGES: &[Language] = languages! {
    "rust" "rust": ".gitignore" "Cargo.toml" "README.md" "build.sh" "src/lib.rs";
    "javascript" "js":
        ".gitignore" "README.md" "build.sh" "package-lock.json" "package.json" "plugin.js";
    "typescript" "ts":
        ".gitignore" "README.md" "build.sh" "package-lock.json" "package.json" "plugin.ts"
        "rolldown.config.mjs" "tsconfig.json";
    "python" "python": ".gitignore" "README.md" "build.sh" "plugin.py" "requirements.txt";
    "go" "go":
        ".gitignore" "README.md" "build.sh" "export_callhook_plugin_about/about.go"
        "export_callhook_plugin_transform/transform.go" "go.mod" "requirements.txt"
        "sources/Cargo.toml";
    "c" "c": ".gitignore" "README.md" "build.sh" "plugin.c" "requirements.txt";
    "cpp" "cpp": ".gitignore" "README.md" "build.sh" "plugin.cpp" "requirements.txt";
    "zig" "zig": ".gitignore" "README.md" "build.sh" "plugin.zig" "requirements.txt";
    "lua" "lua":
        ".gitignore" "README.md" "build.sh" "glue.c" "longjmp.s" "plugin.lua" "requirements.txt"
        "sources/Cargo.toml";
};

impl Language {
    /// What has to be done once before the first build, in a shell: what the README says to do
    /// before `sh build.sh`.
    pub fn setup(&self) -> impl Iterator<Item = &'static str> {
        let readme = self.files.iter().find(|(path, _)| *path == "README.md");
        let build = readme.and_then(|(_, text)| text.split_once("\n## Build\n"));
        let commands = build.map_or("", |(_, text)| text).lines();
        let commands = commands.filter_map(|line| line.strip_prefix("    "));
        commands.take_while(|command| *command != "sh build.sh")
    }
}

/// The language of this name, short or long.
pub fn language(name: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.name == name || language.short == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    /// Whether a line of a `.gitignore` means files of this name.
    fn is_meant(line: &str, name: &str) -> bool {
        let line = line.trim_end_matches('/').rsplit('/').next().unwrap();
        match line.split_once('*') {
            Some((begin, end)) => name.starts_with(begin) && name.ends_with(end),
            None => line == name,
        }
    }

    /// The files below a folder that are not made by a build, by their paths in it.
    fn files(folder: &Path, within: &str, ignored: &[&str]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if ignored.iter().any(|line| is_meant(line, &name)) || name == "wit" {
                continue;
            }
            if path.is_dir() {
                found.extend(files(&path, &format!("{within}{name}/"), ignored));
            } else {
                found.insert(format!("{within}{name}"));
            }
        }
        found
    }

    #[test]
    fn every_file_of_an_example_is_in_its_template() {
        for language in LANGUAGES {
            let folder = root().join("examples").join(language.name);
            let ignored = fs::read_to_string(folder.join(".gitignore")).unwrap();
            let ignored: Vec<&str> = ignored.lines().collect();
            let there = files(&folder, "", &ignored);
            let taken: BTreeSet<String> =
                language.files.iter().map(|(path, _)| (*path).to_owned()).collect();
            assert_eq!(there, taken, "{}", language.name);
        }
        let there = files(&root().join("wit"), "", &[]);
        let taken: BTreeSet<String> = WIT.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(there, taken);
    }

    /// A project stands alone: it must not say where things are in this repository.
    #[test]
    fn templates_stand_alone() {
        for language in LANGUAGES {
            for (path, text) in language.files {
                assert!(!text.contains("../"), "{}/{path} leads out of its folder", language.name);
            }
            let setup: Vec<_> = language.setup().collect();
            assert!((1..=5).contains(&setup.len()), "{}: {setup:?}", language.name);
        }
    }
}
