//! Calls that make modules, as text: `nn.Conv1d(4, 16, 32)`.

/// Longest line of the file.
const WIDTH: usize = 100;

/// A call that makes a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is called.
    pub callee: String,
    /// What it is called with.
    pub arguments: Vec<Argument>,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// What it means: its keyword where it is given by keyword.
    pub name: &'static str,
    /// Whether it is given by keyword.
    pub is_keyword: bool,
    /// Its value.
    pub value: Value,
}

/// The value of an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// As it is written.
    Text(String),
    /// Another module.
    Call(Call),
}

impl Call {
    /// A call without arguments.
    pub fn new(callee: &str) -> Self {
        Self { callee: callee.into(), arguments: Vec::new() }
    }

    /// The same call with one more argument, given by its place; `name` says what it means.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.arguments.push(Argument { name, is_keyword: false, value: Value::Text(value.to_string()) });
        self
    }

    /// The same call with one more argument, given by keyword.
    pub fn keyword(mut self, name: &'static str, value: impl ToString) -> Self {
        self.arguments.push(Argument { name, is_keyword: true, value: Value::Text(value.to_string()) });
        self
    }

    /// The same call with other modules as its arguments.
    pub fn of(mut self, modules: impl IntoIterator<Item = Self>) -> Self {
        let argument = |call| Argument { name: "", is_keyword: false, value: Value::Call(call) };
        self.arguments.extend(modules.into_iter().map(argument));
        self
    }

    /// The call as it is written behind `before` in a line that is indented by `indent` spaces. One that holds other modules has a line for each.
    pub fn written(&self, before: usize, indent: usize) -> String {
        let holds_modules = self.arguments.iter().any(|argument| matches!(argument.value, Value::Call(_)));
        let on_one_line = self.on_one_line();
        if self.arguments.is_empty() || (!holds_modules && before + on_one_line.len() <= WIDTH) {
            return on_one_line;
        }
        let inner = indent + 4;
        let lines: String =
            self.arguments.iter().map(|argument| format!("{:inner$}{},\n", "", argument.written(inner))).collect();
        format!("{}(\n{lines}{:indent$})", self.callee, "")
    }

    fn on_one_line(&self) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(|argument| argument.written(0)).collect();
        format!("{}({})", self.callee, arguments.join(", "))
    }
}

impl Argument {
    fn written(&self, indent: usize) -> String {
        let value = match &self.value {
            Value::Text(text) => text.clone(),
            Value::Call(call) => call.written(indent, indent),
        };
        if self.is_keyword { format!("{}={value}", self.name) } else { value }
    }
}
