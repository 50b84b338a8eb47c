//! The people of the company, from the CSV file that the .ini's `[directory]` names.
//!
//! The first line names the columns. `extension` must be there, `name` and `email` are known, and
//! all others are free: the user's id in a CRM, say.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// All lines of the file, or none where the .ini names no file.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    people: Vec<Person>,
    /// Index into `people`.
    by_extension: HashMap<String, usize>,
}

/// One line of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The internal number; never empty.
    pub extension: String,
    /// `None` where the column is missing or empty.
    pub name: Option<String>,
    /// `None` where the column is missing or empty.
    pub email: Option<String>,
    /// The free columns: the name as the first line spells it, and the value.
    pub columns: Vec<(String, String)>,
}

/// Why a directory file cannot be used.
#[derive(Debug)]
pub struct DirectoryError {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1; `None` where the whole file is to blame.
    pub line: Option<u64>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.message),
            None => write!(f, "{}: {}", self.path.display(), self.message),
        }
    }
}

impl std::error::Error for DirectoryError {}

impl Directory {
    /// Reads the file. Fails where it cannot be read, has no `extension` column, names a column
    /// twice, has a line with more or fewer values than columns, or an extension twice.
    pub fn load(path: &Path) -> Result<Self, DirectoryError> {
        let file = File::open(path).map_err(|error| DirectoryError {
            path: path.to_owned(),
            line: None,
            message: format!("the directory file cannot be opened: {error}"),
        })?;
        Self::read(path, file)
    }

    /// [`Self::load`] from anything that can be read; `path` is only named in errors.
    pub fn read(path: &Path, input: impl Read) -> Result<Self, DirectoryError> {
        let error = |line, message| DirectoryError { path: path.to_owned(), line, message };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
        let header = reader.headers().map_err(|cause| csv_error(path, &cause))?.clone();
        let columns = columns(&header).map_err(|message| error(Some(1), message))?;

        let mut directory = Self::default();
        for record in reader.records() {
            let record = record.map_err(|cause| csv_error(path, &cause))?;
            let line = record.position().map(csv::Position::line);
            let person = person(&columns, &record);
            if person.extension.is_empty() {
                return Err(error(line, "the extension is empty".to_owned()));
            }
            let place = directory.people.len();
            if directory.by_extension.insert(person.extension.clone(), place).is_some() {
                let message = format!("extension {} is in the file already", person.extension);
                return Err(error(line, message));
            }
            directory.people.push(person);
        }
        Ok(directory)
    }

    /// How many people there are.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The line of an extension.
    pub fn find(&self, extension: &str) -> Option<&Person> {
        self.by_extension.get(extension).and_then(|place| self.people.get(*place))
    }

    /// The first line with this value in this column. Columns are found whatever their case; an
    /// empty value is never found.
    pub fn find_by(&self, column: &str, value: &str) -> Option<&Person> {
        if value.is_empty() {
            return None;
        }
        match Column::named(column) {
            Column::Extension => self.find(value),
            Column::Name => self.people.iter().find(|it| it.name.as_deref() == Some(value)),
            Column::Email => self.people.iter().find(|it| it.email.as_deref() == Some(value)),
            Column::Free(_) => self.people.iter().find(|person| {
                let mut columns = person.columns.iter();
                columns.any(|(name, it)| it == value && name.eq_ignore_ascii_case(column))
            }),
        }
    }
}

/// What a column of the file means.
#[derive(PartialEq)]
enum Column {
    Extension,
    Name,
    Email,
    Free(String),
}

impl Column {
    fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "extension" => Self::Extension,
            "name" => Self::Name,
            "email" => Self::Email,
            _ => Self::Free(name.to_owned()),
        }
    }
}

/// The columns that the first line names.
fn columns(header: &csv::StringRecord) -> Result<Vec<Column>, String> {
    let mut columns = Vec::new();
    for (place, name) in header.iter().enumerate() {
        // Spreadsheets put a byte-order mark at the start of the file.
        let name = if place == 0 { name.trim_start_matches('\u{feff}') } else { name };
        if name.is_empty() {
            return Err(format!("column {} has no name", place + 1));
        }
        if header.iter().take(place).any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(format!("column {name:?} is named twice"));
        }
        columns.push(Column::named(name));
    }
    if columns.contains(&Column::Extension) {
        return Ok(columns);
    }
    let found = header.iter().collect::<Vec<_>>().join(", ");
    Err(format!(
        "the first line must name the columns, separated by commas, and one of them must be \
         \"extension\"; found: {found}"
    ))
}

fn person(columns: &[Column], record: &csv::StringRecord) -> Person {
    let mut person = Person::default();
    for (column, value) in columns.iter().zip(record) {
        let known = Some(value.to_owned()).filter(|value| !value.is_empty());
        match column {
            Column::Extension => value.clone_into(&mut person.extension),
            Column::Name => person.name = known,
            Column::Email => person.email = known,
            Column::Free(name) => person.columns.push((name.clone(), value.to_owned())),
        }
    }
    person
}

fn csv_error(path: &Path, error: &csv::Error) -> DirectoryError {
    let line = error.position().map(csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the line has {len} values, but the first line names {expected_len} columns")
        }
        csv::ErrorKind::Utf8 { .. } => {
            "the line is not UTF-8; save the file as \"CSV UTF-8\"".to_owned()
        }
        csv::ErrorKind::Io(error) => format!("the directory file cannot be read: {error}"),
        _ => error.to_string(),
    };
    DirectoryError { path: path.to_owned(), line, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Directory, String> {
        Directory::read(Path::new("users.csv"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn people_are_found_by_extension_and_by_any_column() {
        let directory = read(
            "\u{feff}Extension, name,email,crm_id\r\n106,\"Nováková, Jana\",jana@example.com,77\r\n\
             107,,,78\r\n",
        )
        .unwrap();
        assert_eq!(directory.len(), 2);
        let jana = directory.find("106").unwrap();
        assert_eq!(jana.name.as_deref(), Some("Nováková, Jana"));
        assert_eq!(jana.columns, [("crm_id".to_owned(), "77".to_owned())]);
        assert_eq!(directory.find_by("email", "jana@example.com"), Some(jana));
        assert_eq!(directory.find_by("CRM_ID", "78").unwrap().extension, "107");
        assert_eq!(directory.find_by("name", ""), None);
        assert_eq!(directory.find_by("nothing", "78"), None);
        assert_eq!(directory.find("999"), None);
    }

    #[test]
    fn errors_name_file_and_line() {
        for (text, message) in [
            (
                "name,email\nx,y\n",
                "users.csv:1: the first line must name the columns, separated by commas, and one of them must be \"extension\"; found: name, email",
            ),
            ("extension,id,ID\n", "users.csv:1: column \"ID\" is named twice"),
            ("extension,\n", "users.csv:1: column 2 has no name"),
            (
                "extension,name\n106,A\n107\n",
                "users.csv:3: the line has 1 values, but the first line names 2 columns",
            ),
            ("extension,name\n106,A\n106,B\n", "users.csv:3: extension 106 is in the file already"),
            ("extension,name\n,A\n", "users.csv:2: the extension is empty"),
        ] {
            assert_eq!(read(text).unwrap_err(), message);
        }
        let error = Directory::read(Path::new("u.csv"), &b"extension,name\n1,\xff\n"[..]);
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "u.csv:2: the line is not UTF-8; save the file as \"CSV UTF-8\"");
        let error = Directory::load(Path::new("/nonexistent/u.csv")).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/u.csv: the directory file cannot be opened"));
    }
}
