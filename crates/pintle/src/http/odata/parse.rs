//! From words to a condition. `not` binds closer than `and`, and that closer than `or`; what a bracket
//! opens waits on a stack until it is closed, so that no text makes this nest.

use pintle_model::{Kind, MemberId};
use pintle_store::{BadCondition, Comparison, Condition, Literal, Operand, Quantifier, TextTest};

use super::fields::{Field, Fields, NoField};
use super::lexer::{Lexer, Token, Word};
use super::{Problem, cut};

/// The condition that a text stands for.
pub(super) fn parse(text: &str, fields: &'static Fields) -> Result<Condition, Problem> {
    let mut lexer = Lexer::new(text);
    let word = lexer.next()?;
    Parser { lexer, word, fields, element: None }.whole()
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    /// The one that is looked at.
    word: Word<'t>,
    fields: &'static Fields,
    /// Between the brackets of `any` and `all`.
    element: Option<Element<'t>>,
}

/// What stands for an element of a collection. The elements have no collections themselves, so there
/// is one at a time.
struct Element<'t> {
    variable: &'t str,
    /// `None`: it is a text.
    fields: Option<&'static Fields>,
}

/// What is between two brackets, as far as it is read.
struct Bracket {
    at: usize,
    opened_by: Opened,
    /// Those joined by `or`, each of them done.
    some: Vec<Condition>,
    /// Those joined by `and` since.
    every: Vec<Condition>,
    /// The next one is to be negated.
    is_negated: bool,
}

enum Opened {
    /// Nothing but order, or it is the whole text.
    Plain,
    /// `any` or `all`.
    Elements(MemberId, Quantifier, Option<&'static Fields>),
}

/// What an operand turned out to be.
enum Begun {
    Not,
    Bracket(Opened),
    Whole(Condition),
}

/// What a name stands for.
enum Named {
    /// A value, with the name it has in errors.
    Value(Operand, Field, &'static str),
    Collection(Begun),
}

impl Bracket {
    fn new(at: usize, opened_by: Opened) -> Bracket {
        Bracket { at, opened_by, some: Vec::new(), every: Vec::new(), is_negated: false }
    }

    fn add(&mut self, condition: Condition) -> Result<(), BadCondition> {
        let is_negated = std::mem::take(&mut self.is_negated);
        self.every.push(if is_negated { Condition::negated(condition)? } else { condition });
        Ok(())
    }

    /// What follows is joined by `or`.
    fn or(&mut self) -> Result<(), BadCondition> {
        self.some.push(Condition::every(std::mem::take(&mut self.every))?);
        Ok(())
    }

    fn close(mut self) -> Result<Condition, BadCondition> {
        self.or()?;
        let condition = Condition::some(self.some)?;
        match self.opened_by {
            Opened::Plain => Ok(condition),
            Opened::Elements(of, quantifier, fields) => {
                Condition::elements(of, quantifier, fields.map(|fields| fields.shape), condition)
            }
        }
    }
}

impl<'t> Parser<'t> {
    fn whole(mut self) -> Result<Condition, Problem> {
        let mut open: Vec<Bracket> = Vec::new();
        let mut inner = Bracket::new(0, Opened::Plain);
        loop {
            let at = self.word.at;
            match self.operand()? {
                Begun::Not => {
                    inner.is_negated = !inner.is_negated;
                    continue;
                }
                Begun::Bracket(_) if open.len() >= Condition::MAX_DEPTH => {
                    return Err(refused(at)(BadCondition::TooDeep));
                }
                Begun::Bracket(opened_by) => {
                    open.push(std::mem::replace(&mut inner, Bracket::new(at, opened_by)));
                    continue;
                }
                Begun::Whole(condition) => inner.add(condition).map_err(refused(at))?,
            }
            // After an operand brackets are closed, until something joins it to another one.
            loop {
                let Word { at, token } = self.word.clone();
                if self.takes_name("and")? {
                    break;
                }
                if self.takes_name("or")? {
                    inner.or().map_err(refused(at))?;
                    break;
                }
                match (token, open.pop()) {
                    (Token::End, None) => return inner.close().map_err(refused(at)),
                    (Token::End, Some(_)) => {
                        return Err(Problem::new(
                            inner.at,
                            "this '(' is not closed: expected ')' at the end",
                        ));
                    }
                    (Token::Close, Some(outer)) => {
                        if let Opened::Elements(..) = inner.opened_by {
                            self.element = None;
                        }
                        let closed = std::mem::replace(&mut inner, outer).close();
                        closed.and_then(|condition| inner.add(condition)).map_err(refused(at))?;
                        self.advance()?;
                    }
                    (_, outer) => {
                        let close = if outer.is_some() { "')'" } else { "the end" };
                        return Err(self.expected(&format!("'and', 'or' or {close}")));
                    }
                }
            }
        }
    }

    /// What can stand at the beginning and after `not`, `and`, `or` and `(`.
    fn operand(&mut self) -> Result<Begun, Problem> {
        let at = self.word.at;
        if self.word.token == Token::Open {
            self.advance()?;
            return Ok(Begun::Bracket(Opened::Plain));
        }
        if self.takes_name("not")? {
            return Ok(Begun::Not);
        }
        let name = self.name("a property, a function, 'not' or '('")?;
        if self.word.token == Token::Open {
            return self.function(at, name).map(Begun::Whole);
        }
        match self.named(at, name)? {
            Named::Collection(begun) => Ok(begun),
            Named::Value(operand, field, name) => self.comparison(operand, field, name).map(Begun::Whole),
        }
    }

    /// What a name stands for, and what hangs on it with `/`.
    fn named(&mut self, at: usize, name: &'t str) -> Result<Named, Problem> {
        let element = self.element.as_ref().map(|element| (element.variable, element.fields));
        let (at, name, fields) = match element {
            None => (at, name, self.fields),
            Some((variable, _)) if variable != name => {
                let message = format!(
                    "'{}' is not known between these brackets: expected '{}', which stands for the element",
                    cut(name),
                    cut(variable)
                );
                return Err(Problem::new(at, message));
            }
            Some((_, None)) => return Ok(Named::Value(Operand::ELEMENT, Field::Plain, "the element")),
            Some((_, Some(fields))) => {
                self.takes(&Token::Slash, "'/' and a property of the element")?;
                let at = self.word.at;
                (at, self.name("a property of the element")?, fields)
            }
        };
        let (member, name, field) = fields.find(name).map_err(|none| {
            let message = match none {
                NoField::Unknown => {
                    format!("could not find a property named '{}' on type '{}'", cut(name), fields.entity)
                }
                NoField::Closed(name) => format!("the property '{name}' cannot be used in $filter"),
            };
            Problem::new(at, format!("{message}; those that can are {}", fields.names()))
        })?;
        let elements = match field {
            Field::Plain | Field::Enum => {
                let operand = Operand::member(fields.shape, member);
                let operand = operand.ok_or_else(|| refused(at)(BadCondition::Kind(Kind::Object)))?;
                return Ok(Named::Value(operand, field, name));
            }
            Field::Texts => None,
            Field::Objects(fields) => Some(fields),
        };
        self.collection(at, member, name, elements).map(Named::Collection)
    }

    /// `/any(x:`, after which the condition on the element follows, or `/any()`.
    fn collection(
        &mut self,
        at: usize,
        member: MemberId,
        name: &str,
        fields: Option<&'static Fields>,
    ) -> Result<Begun, Problem> {
        let asked = format!("{name}/any(x: …) or {name}/all(x: …), as it is a collection");
        self.takes(&Token::Slash, &asked)?;
        let quantifier = if self.takes_name("any")? {
            Quantifier::Any
        } else if self.takes_name("all")? {
            Quantifier::All
        } else {
            return Err(self.expected(&asked));
        };
        self.takes(&Token::Open, "'('")?;
        if quantifier == Quantifier::Any && self.word.token == Token::Close {
            self.advance()?;
            return Condition::not_empty(member).map(Begun::Whole).map_err(refused(at));
        }
        let variable = self.name("a name for the element")?;
        self.takes(&Token::Colon, "':' and a condition on the element")?;
        self.element = Some(Element { variable, fields });
        Ok(Begun::Bracket(Opened::Elements(member, quantifier, fields)))
    }

    /// `eq`, `in` and so on, and what comes after.
    fn comparison(&mut self, operand: Operand, field: Field, name: &str) -> Result<Condition, Problem> {
        const COMPARISONS: [(&str, Comparison); 6] = [
            ("eq", Comparison::Eq),
            ("ne", Comparison::Ne),
            ("gt", Comparison::Gt),
            ("ge", Comparison::Ge),
            ("lt", Comparison::Lt),
            ("le", Comparison::Le),
        ];
        let at = self.word.at;
        if self.takes_name("in")? {
            return self.one_of(at, operand);
        }
        for (word, comparison) in COMPARISONS {
            if !self.takes_name(word)? {
                continue;
            }
            let is_ordered = !matches!(comparison, Comparison::Eq | Comparison::Ne);
            if is_ordered && matches!(field, Field::Enum) {
                let message = format!("the values of '{name}' have no order: compare it with eq, ne or in");
                return Err(Problem::new(at, message));
            }
            let at = self.word.at;
            let literal = self.literal(operand)?;
            return Condition::compare(operand, comparison, literal).map_err(refused(at));
        }
        Err(self.expected("eq, ne, gt, ge, lt, le or in"))
    }

    /// `('a', 'b')`.
    fn one_of(&mut self, at: usize, operand: Operand) -> Result<Condition, Problem> {
        let mut literals = Vec::new();
        self.takes(&Token::Open, "'(' and values")?;
        loop {
            // Sooner than memory for more is taken.
            if literals.len() >= Condition::MAX_SIZE {
                return Err(refused(self.word.at)(BadCondition::TooLarge));
            }
            literals.push(self.literal(operand)?);
            if self.word.token != Token::Comma {
                break;
            }
            self.advance()?;
        }
        self.takes(&Token::Close, "',' or ')'")?;
        Condition::one_of(operand, literals).map_err(refused(at))
    }

    /// `contains(name,'text')` and its like; a library may write `eq true` after it.
    fn function(&mut self, at: usize, name: &str) -> Result<Condition, Problem> {
        let test = match name.to_ascii_lowercase().as_str() {
            "startswith" => TextTest::StartsWith,
            "endswith" => TextTest::EndsWith,
            "contains" => TextTest::Contains,
            _ => {
                let message =
                    format!("there is no function '{}': use startswith, endswith or contains", cut(name));
                return Err(Problem::new(at, message));
            }
        };
        self.takes(&Token::Open, "'('")?;
        let (begin, name) = (self.word.at, self.name("a property")?);
        let Named::Value(operand, ..) = self.named(begin, name)? else {
            return Err(Problem::new(begin, "a collection is no text: put the function into any(x: …)"));
        };
        self.takes(&Token::Comma, "',' and a text")?;
        let at = self.word.at;
        let Token::Text(text) = &self.word.token else { return Err(self.expected("a text in quotes")) };
        let condition = Condition::text(operand, test, text).map_err(refused(at))?;
        self.advance()?;
        self.takes(&Token::Close, "')'")?;
        let is_equal = match () {
            () if self.takes_name("eq")? => true,
            () if self.takes_name("ne")? => false,
            () => return Ok(condition),
        };
        let is_true = self.takes_name("true")?;
        if !is_true && !self.takes_name("false")? {
            return Err(self.expected("true or false"));
        }
        if is_true == is_equal { Ok(condition) } else { Condition::negated(condition).map_err(refused(at)) }
    }

    /// A literal. Some clients put the number of a device group in quotes.
    fn literal(&mut self, operand: Operand) -> Result<Literal, Problem> {
        let literal = match &self.word.token {
            Token::Text(text) if operand.kind() == Kind::Int => {
                text.parse().map_or_else(|_| Literal::Text(text.clone()), Literal::Int)
            }
            Token::Text(text) => Literal::Text(text.clone()),
            Token::Int(number) => Literal::Int(*number),
            Token::Time(time) => Literal::Time(*time),
            Token::Name(name) if name.eq_ignore_ascii_case("null") => Literal::Null,
            Token::Name(name) if name.eq_ignore_ascii_case("true") => Literal::Bool(true),
            Token::Name(name) if name.eq_ignore_ascii_case("false") => Literal::Bool(false),
            _ => {
                return Err(self.expected("a value: a text in quotes, a number, a time, true, false or null"));
            }
        };
        self.advance()?;
        Ok(literal)
    }

    fn advance(&mut self) -> Result<(), Problem> {
        self.word = self.lexer.next()?;
        Ok(())
    }

    /// Goes on if this name is next, in any case.
    fn takes_name(&mut self, wanted: &str) -> Result<bool, Problem> {
        let is_next = matches!(self.word.token, Token::Name(name) if name.eq_ignore_ascii_case(wanted));
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    /// Goes on after this, which must be next.
    fn takes(&mut self, token: &Token<'_>, told: &str) -> Result<(), Problem> {
        if self.word.token != *token {
            return Err(self.expected(told));
        }
        self.advance()
    }

    fn name(&mut self, told: &str) -> Result<&'t str, Problem> {
        let Token::Name(name) = self.word.token else { return Err(self.expected(told)) };
        self.advance()?;
        Ok(name)
    }

    fn expected(&self, what: &str) -> Problem {
        let found = self.word.token.tell();
        Problem::new(self.word.at, format!("syntax error: expected {what}, found {found}"))
    }
}

/// What is wrong with a condition whose text begins there.
fn refused(at: usize) -> impl Fn(BadCondition) -> Problem {
    move |bad| Problem::new(at, bad.to_string())
}
