//! Reads a statement with a parser and follows its equalities.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Delete, Expr, FromTable, Insert, Join, JoinConstraint, JoinOperator, ObjectName, Query,
    Select, SelectItem, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, Update,
    UpdateTableFromKind, Value, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::{AT_ONCE, NOT_BOUND, Spread};

/// Functions that a distributed database refuses in a change, since each node would have its own answer.
const VOLATILE: [&str; 5] = ["clock_timestamp", "random", "gen_random_uuid", "timeofday", "nextval"];

/// What is wrong with a statement, where tables are spread.
pub(super) fn fault(sql: &str, spread: &Spread) -> Option<String> {
    let statements = match Parser::parse_sql(&PostgreSqlDialect {}, &for_the_parser(sql)) {
        Ok(statements) => statements,
        Err(error) => return Some(format!("is not understood by the parser: {error}")),
    };
    let [statement] = statements.as_slice() else { return Some("is not one statement".to_owned()) };
    let mut analysis = Analysis { spread, tables: Vec::new(), equal: Vec::new(), changed: 0, fault: None };
    analysis.statement(statement, None);
    analysis.verdict(statement)
}

/// What the parser does not know, and what binds nothing: a lock of its own strength, and the condition by which
/// ON CONFLICT names a partial index.
fn for_the_parser(sql: &str) -> String {
    let sql = sql.replace("FOR NO KEY UPDATE", "FOR UPDATE");
    let Some((before, conflict)) = sql.split_once("ON CONFLICT") else { return sql };
    let Some((target, action)) = conflict.split_once(" DO ") else { return sql };
    let target = target.split(" WHERE ").next().unwrap_or_default();
    format!("{before}ON CONFLICT{target} DO {action}")
}

/// A table that is spread, once for each time the statement names it.
struct Table {
    name: String,
    column: &'static str,
}

#[derive(Clone, PartialEq)]
enum Side {
    Table(usize),
    Parameter(String),
}

/// The names that a part of the statement can use, and those around it.
struct Scope<'s> {
    /// Name, and the table where it is one that is spread.
    names: Vec<(String, Option<usize>)>,
    around: Option<&'s Scope<'s>>,
}

struct Analysis<'a> {
    spread: &'a Spread,
    tables: Vec<Table>,
    /// Whatever binds the second, binds the first.
    equal: Vec<(usize, Side)>,
    changed: usize,
    fault: Option<String>,
}

impl Analysis<'_> {
    fn verdict(mut self, statement: &Statement) -> Option<String> {
        let mut bound: Vec<Option<String>> = vec![None; self.tables.len()];
        for _ in 0..=self.tables.len() {
            for (table, side) in &self.equal {
                let found = match side {
                    Side::Parameter(name) => Some(name.clone()),
                    Side::Table(other) => bound[*other].clone(),
                };
                bound[*table] = bound[*table].take().or(found);
            }
        }
        let free = bound.iter().position(Option::is_none);
        let fault = free.map(|at| format!("{} {NOT_BOUND}", self.tables[at].name));
        let fault = self.fault.take().or(fault);
        let called = functions(statement);
        let is_called = |names: &[&str]| names.iter().any(|name| called.iter().any(|it| it == name));
        if fault.is_some() {
            fault
        } else if self.changed > 1 {
            Some(AT_ONCE.to_owned())
        } else if bound.windows(2).any(|two| two[0] != two[1])
            || self.tables.windows(2).any(|two| two[0].column != two[1].column)
        {
            Some("asks for shards of two values".to_owned())
        } else if self.changed > 0 && is_called(&VOLATILE) {
            Some("changes rows with what each node has its own answer to".to_owned())
        } else if is_called(&["pg_notify"]) {
            Some("notifies".to_owned())
        } else {
            None
        }
    }

    fn not_understood(&mut self, what: &str) {
        self.fault.get_or_insert_with(|| format!("{what} is not understood by this test"));
    }

    fn statement(&mut self, statement: &Statement, around: Option<&Scope<'_>>) {
        match statement {
            Statement::Query(query) => self.query(query, around),
            Statement::Insert(insert) => self.insert(insert, around),
            Statement::Update(update) => self.update(update, around),
            Statement::Delete(delete) => self.delete(delete, around),
            _ => self.not_understood("the kind of statement"),
        }
    }

    fn query(&mut self, query: &Query, around: Option<&Scope<'_>>) {
        for part in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.query(&part.query, around);
        }
        self.set_expression(&query.body, around);
        self.nested(&query.order_by, around);
        self.nested(&query.limit_clause, around);
    }

    fn set_expression(&mut self, body: &SetExpr, around: Option<&Scope<'_>>) {
        match body {
            SetExpr::Select(select) => self.select(select, around),
            SetExpr::Query(query) => self.query(query, around),
            SetExpr::SetOperation { left, right, .. } => {
                self.set_expression(left, around);
                self.set_expression(right, around);
            }
            SetExpr::Values(values) => self.nested(values, around),
            SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => {
                self.statement(statement, around);
            }
            _ => self.not_understood("a part of the query"),
        }
    }

    fn select(&mut self, select: &Select, around: Option<&Scope<'_>>) {
        let mut scope = Scope { names: Vec::new(), around };
        self.take_in(&select.from, &mut scope);
        self.conditions(select.selection.as_ref(), &scope, None);
        self.nested(select, Some(&scope));
    }

    fn update(&mut self, update: &Update, around: Option<&Scope<'_>>) {
        self.changed += 1;
        let mut scope = Scope { names: Vec::new(), around };
        self.take_in(std::slice::from_ref(&update.table), &mut scope);
        match &update.from {
            Some(UpdateTableFromKind::AfterSet(from)) => self.take_in(from, &mut scope),
            Some(UpdateTableFromKind::BeforeSet(_)) => self.not_understood("FROM before SET"),
            None => {}
        }
        self.conditions(update.selection.as_ref(), &scope, None);
        self.nested(update, Some(&scope));
    }

    fn delete(&mut self, delete: &Delete, around: Option<&Scope<'_>>) {
        self.changed += 1;
        let mut scope = Scope { names: Vec::new(), around };
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        self.take_in(from, &mut scope);
        self.take_in(delete.using.as_deref().unwrap_or_default(), &mut scope);
        self.conditions(delete.selection.as_ref(), &scope, None);
        self.nested(delete, Some(&scope));
    }

    fn insert(&mut self, insert: &Insert, around: Option<&Scope<'_>>) {
        self.changed += 1;
        let TableObject::TableName(name) = &insert.table else {
            return self.not_understood("what is inserted into");
        };
        let Some(source) = &insert.source else { return self.not_understood("what is inserted") };
        if let Some(table) = self.enter(name) {
            let column = self.tables[table].column;
            let at = insert.columns.iter().position(|name| last(name) == column);
            let rows: Vec<Option<&Expr>> = match &*source.body {
                SetExpr::Values(values) => {
                    values.rows.iter().map(|row| at.and_then(|at| row.content.get(at))).collect()
                }
                SetExpr::Select(select) => vec![at.and_then(|at| match select.projection.get(at) {
                    Some(SelectItem::UnnamedExpr(expression)) => Some(expression),
                    _ => None,
                })],
                _ => Vec::new(),
            };
            let mut parameters: Vec<_> = rows.iter().map(|row| row.and_then(parameter)).collect();
            parameters.dedup();
            if let [Some(name)] = parameters.as_slice() {
                self.equal.push((table, Side::Parameter(name.clone())));
            }
        }
        self.query(source, around);
    }

    /// Takes in the tables after FROM, and what their joins say.
    fn take_in(&mut self, from: &[TableWithJoins], scope: &mut Scope<'_>) {
        for tables in from {
            self.name(&tables.relation, scope);
            for Join { relation, join_operator, .. } in &tables.joins {
                self.name(relation, scope);
                let (constraint, is_outer) = match join_operator {
                    JoinOperator::Join(it) | JoinOperator::Inner(it) | JoinOperator::CrossJoin(it) => {
                        (it, false)
                    }
                    JoinOperator::Left(it) | JoinOperator::LeftOuter(it) => (it, true),
                    _ => return self.not_understood("a join"),
                };
                let joined = scope.names.last().and_then(|(_, table)| *table);
                match constraint {
                    // What an outer join says, it says of the joined side alone.
                    JoinConstraint::On(_) if is_outer && joined.is_none() => {}
                    JoinConstraint::On(condition) => {
                        self.conditions(Some(condition), scope, joined.filter(|_| is_outer));
                    }
                    JoinConstraint::None => {}
                    _ => self.not_understood("the condition of a join"),
                }
            }
        }
    }

    fn name(&mut self, factor: &TableFactor, scope: &mut Scope<'_>) {
        match factor {
            TableFactor::Table { name, alias, args, .. } => {
                let table = if args.is_none() { self.enter(name) } else { None };
                let shown = alias.as_ref().map_or_else(|| last(name), |alias| alias.name.value.clone());
                scope.names.push((shown, table));
            }
            // Looked into as what they are: queries of their own.
            TableFactor::Derived { .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. } => {
                scope.names.push((String::new(), None));
            }
            _ => self.not_understood("a table"),
        }
    }

    /// Notes a table where it is one that is spread.
    fn enter(&mut self, name: &ObjectName) -> Option<usize> {
        let name = last(name);
        let column = *self.spread.get(&name)?;
        self.tables.push(Table { name, column });
        Some(self.tables.len() - 1)
    }

    /// Notes the equalities that must hold for each row. `only` is the one table that they say anything about.
    fn conditions(&mut self, condition: Option<&Expr>, scope: &Scope<'_>, only: Option<usize>) {
        let mut open: Vec<&Expr> = condition.into_iter().collect();
        while let Some(condition) = open.pop() {
            match condition {
                Expr::Nested(inner) => open.push(inner),
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => open.extend([&**left, &**right]),
                Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                    let (Some(left), Some(right)) = (self.side(left, scope), self.side(right, scope)) else {
                        continue;
                    };
                    for (table, other) in [(&left, &right), (&right, &left)] {
                        if let Side::Table(table) = table
                            && only.is_none_or(|only| only == *table)
                        {
                            self.equal.push((*table, other.clone()));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// A parameter, or the column by which a table is spread.
    fn side(&self, expression: &Expr, scope: &Scope<'_>) -> Option<Side> {
        if let Some(name) = parameter(expression) {
            return Some(Side::Parameter(name));
        }
        let (table, column) = match expression {
            Expr::Identifier(column) => (None, column),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] => (Some(&table.value), column),
                _ => return None,
            },
            _ => return None,
        };
        let mut scope = Some(scope);
        while let Some(Scope { names, around }) = scope {
            let found = names.iter().filter(|(name, _)| table.is_none_or(|table| table == name));
            let mut found =
                found.filter_map(|(_, table)| *table).filter(|at| self.tables[*at].column == column.value);
            if let Some(at) = found.next() {
                // PostgreSQL has refused a name that could mean two columns.
                return Some(Side::Table(at));
            }
            scope = *around;
        }
        None
    }

    /// Looks into the queries inside a part of a statement.
    fn nested(&mut self, part: &impl Visit, around: Option<&Scope<'_>>) {
        for query in topmost_queries(part) {
            self.query(&query, around);
        }
    }
}

fn last(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()).unwrap_or_default()
}

fn parameter(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(name.clone()),
            _ => None,
        },
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => parameter(inner),
        _ => None,
    }
}

/// The queries inside a part, without those inside of them.
fn topmost_queries(part: &impl Visit) -> Vec<Query> {
    struct Topmost {
        depth: usize,
        found: Vec<Query>,
    }
    impl Visitor for Topmost {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if self.depth == 0 {
                self.found.push(query.clone());
            }
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut topmost = Topmost { depth: 0, found: Vec::new() };
    let _ = part.visit(&mut topmost);
    topmost.found
}

/// The functions that a statement calls anywhere.
fn functions(statement: &Statement) -> Vec<String> {
    struct Called(Vec<String>);
    impl Visitor for Called {
        type Break = ();

        fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expression {
                self.0.push(last(&function.name).to_lowercase());
            }
            ControlFlow::Continue(())
        }
    }
    let mut called = Called(Vec::new());
    let _ = statement.visit(&mut called);
    called.0
}
