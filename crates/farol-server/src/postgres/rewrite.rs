//! What PostgreSQL has and DataFusion has not, said in other words.
//!
//! * `ARRAY(SELECT x …)` is a subquery that collects `x`.
//! * Comments: `obj_description` and `col_description` look into `pg_description`, a table like any other.
//! * `a OR (SELECT b …)` over PostgreSQL's own tables: the subquery has one row at the most, which `max(b)` says.
//! * `name::regclass` of a name that is computed is looked up by the names of tables.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Value,
    visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Says a statement in other words; one that reads PostgreSQL's own tables and no other in some more.
pub(super) fn rewrite(statement: &mut Statement, reads_only_postgresqls: bool) {
    let _ = visit_expressions_mut(statement, |expr| {
        if reads_only_postgresqls {
            condition(expr);
        }
        if let Some(other) = array_of_rows(expr).or_else(|| comment(expr)) {
            // In brackets, for rules look at bare subqueries.
            *expr = Expr::Nested(Box::new(other));
        }
        ControlFlow::<()>::Continue(())
    });
}

/// `ARRAY(SELECT x …)` as `(SELECT array_agg(x) …)`.
fn array_of_rows(expr: &Expr) -> Option<Expr> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let FunctionArguments::Subquery(query) = &function.args else {
        return None;
    };
    if !function.name.to_string().eq_ignore_ascii_case("array") {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    if let [from] = select.from.as_slice()
        && let Some(options) = unnested_options(&from.relation)
    {
        // Whatever is made of a table's options: there are none.
        return Some(options);
    }
    if !is_rows_as_they_are(query, select) {
        return None;
    }
    let item = only_item(select)?;
    let collected = match &select.distinct {
        Some(Distinct::Distinct) => format!("array_agg(DISTINCT {item}{})", order(query, item)?),
        _ => format!("array_agg({item}{})", order(query, item)?),
    };
    let mut query = query.clone();
    query.order_by = None;
    let collected = expression(&collected)?;
    Some(Expr::Subquery(with_item(query, collected)?))
}

/// Whether a query gives a row for each that it finds, so that whatever collects them can stand in their place.
fn is_rows_as_they_are(query: &Query, select: &Select) -> bool {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let distinct_on = matches!(&select.distinct, Some(Distinct::On(_)));
    let limited = query.limit_clause.is_some() || query.fetch.is_some();
    !grouped && !distinct_on && !limited && select.having.is_none()
}

/// The one thing that is selected.
fn only_item(select: &Select) -> Option<&Expr> {
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] => {
            Some(item)
        }
        _ => None,
    }
}

/// The order of a query's rows, for an aggregate over the item that it selects.
fn order(query: &Query, item: &Expr) -> Option<String> {
    let Some(order) = &query.order_by else {
        return Some(String::new());
    };
    let OrderByKind::Expressions(by) = &order.kind else {
        return None;
    };
    let by = by.iter().map(|by| {
        let mut by = by.clone();
        if is_number(&by.expr) {
            by.expr = item.clone();
        }
        by.to_string()
    });
    Some(format!(" ORDER BY {}", by.collect::<Vec<_>>().join(", ")))
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..)))
}

fn with_item(mut query: Box<Query>, item: Expr) -> Option<Box<Query>> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    select.distinct = None;
    select.projection = vec![SelectItem::UnnamedExpr(item)];
    Some(query)
}

/// `a OR (SELECT b …)` over PostgreSQL's own tables, where the subquery has one row at the most: `(SELECT max(b) …)` says so.
fn condition(expr: &mut Expr) {
    let Expr::BinaryOp {
        left,
        op: BinaryOperator::Or | BinaryOperator::And,
        right,
    } = expr
    else {
        return;
    };
    for side in [left, right] {
        if let Expr::Subquery(query) = side.as_ref()
            && let SetExpr::Select(select) = query.body.as_ref()
            && is_rows_as_they_are(query, select)
            && let Some(Expr::BinaryOp { .. }) = only_item(select)
            && let Some(item) = only_item(select).map(|item| format!("max({item})"))
            && let Some(item) = expression(&item)
            && let Some(query) = with_item(query.clone(), item)
        {
            **side = Expr::Subquery(query);
        }
    }
}

/// The column of `unnest(x.reloptions)`.
fn unnested_options(relation: &TableFactor) -> Option<Expr> {
    let column = match relation {
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.first()?,
        TableFactor::Table {
            args: Some(arguments),
            ..
        } => match arguments.args.first()? {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(column)) => column,
            _ => return None,
        },
        _ => return None,
    };
    let Expr::CompoundIdentifier(parts) = column else {
        return None;
    };
    let last = parts.last()?;
    (last.value == "reloptions").then(|| column.clone())
}

/// `obj_description(oid, catalogue)` and `col_description(oid, number)` as subqueries of `pg_description`.
fn comment(expr: &Expr) -> Option<Expr> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let name = function.name.0.last()?.as_ident()?.value.to_lowercase();
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let arguments = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    let arguments = arguments.collect::<Option<Vec<_>>>()?;
    let (object, class, number) = match (name.as_str(), arguments.as_slice()) {
        ("col_description", [object, number]) => (object, "pg_class", number.to_string()),
        ("obj_description", [object]) => (object, "pg_class", "0".to_owned()),
        ("obj_description", [object, class]) => (object, text(class)?, "0".to_owned()),
        _ => return None,
    };
    let class = class_number(class)?;
    let object = match computed_name(object) {
        Some(name) => format!("described.name = {name}"),
        None => format!("described.objoid = CAST({object} AS INT)"),
    };
    expression(&format!(
        "(SELECT max(described.description) FROM pg_catalog.pg_description AS described WHERE {object} \
         AND described.classoid = {class} AND described.objsubid = CAST({number} AS INT))"
    ))
}

/// The text of a literal.
fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The number of the catalogue that an object is in, as PostgreSQL numbers them.
fn class_number(name: &str) -> Option<i32> {
    match name {
        "pg_type" => Some(1247),
        "pg_proc" => Some(1255),
        "pg_class" => Some(1259),
        "pg_namespace" => Some(2615),
        _ => None,
    }
}

/// What is looked up as the name of a table, where it is no literal.
fn computed_name(expr: &Expr) -> Option<&Expr> {
    let Expr::Cast {
        expr, data_type, ..
    } = expr
    else {
        return None;
    };
    match data_type {
        DataType::Regclass => text(expr).is_none().then_some(expr),
        DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("oid") => {
            computed_name(expr)
        }
        _ => None,
    }
}

fn expression(text: &str) -> Option<Expr> {
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text);
    parser.and_then(|mut parser| parser.parse_expr()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        let mut parser = Parser::new(&PostgreSqlDialect {})
            .try_with_sql(text)
            .unwrap();
        let mut statement = parser.parse_statement().unwrap();
        rewrite(&mut statement, true);
        statement.to_string()
    }

    #[test]
    fn rows_become_an_array() {
        assert_eq!(
            rewritten(
                "SELECT ARRAY(SELECT m.name FROM m WHERE m.id = r.id ORDER BY 1) AS names FROM r"
            ),
            "SELECT ((SELECT array_agg(m.name ORDER BY m.name) FROM m WHERE m.id = r.id)) AS names FROM r"
        );
        assert_eq!(
            rewritten(
                "SELECT c.reloptions || array(SELECT 'toast.' || x FROM unnest(tc.reloptions) x) FROM c, tc"
            ),
            "SELECT c.reloptions || (tc.reloptions) FROM c, tc"
        );
        assert_eq!(
            rewritten("SELECT array(SELECT x FROM pg_catalog.unnest(tc.reloptions) x) FROM tc"),
            "SELECT (tc.reloptions) FROM tc"
        );
        assert_eq!(
            rewritten("SELECT ARRAY(SELECT DISTINCT a FROM t ORDER BY b DESC)"),
            "SELECT ((SELECT array_agg(DISTINCT a ORDER BY b DESC) FROM t))"
        );
        let left =
            "SELECT ARRAY(SELECT a FROM t LIMIT 3), ARRAY(SELECT count(*) FROM t GROUP BY a)";
        assert_eq!(rewritten(left), left);
        let left = "SELECT ARRAY[1, 2], ARRAY(SELECT 1 UNION SELECT 2)";
        assert_eq!(rewritten(left), left);
    }

    #[test]
    fn a_condition_that_is_a_subquery_has_one_row() {
        let text = |item: &str| {
            format!("SELECT 1 FROM t WHERE t.rel = 0 OR (SELECT {item} FROM c WHERE c.oid = t.rel)")
        };
        assert_eq!(rewritten(&text("c.kind = 'c'")), text("max(c.kind = 'c')"));
    }

    #[test]
    fn comments_are_looked_up() {
        let looked_up = |condition: &str, number: &str| {
            format!(
                "SELECT ((SELECT max(described.description) FROM pg_catalog.pg_description AS described WHERE {condition} \
                 AND described.classoid = 1259 AND described.objsubid = CAST({number} AS INT))) FROM pg_class c"
            )
        };
        assert_eq!(
            rewritten("SELECT pg_catalog.obj_description(c.oid, 'pg_class') FROM pg_class c"),
            looked_up("described.objoid = CAST(c.oid AS INT)", "0")
        );
        assert_eq!(
            rewritten("SELECT col_description(c.oid, 3) FROM pg_class c"),
            looked_up("described.objoid = CAST(c.oid AS INT)", "3")
        );
        assert_eq!(
            rewritten(
                "SELECT COL_DESCRIPTION(CAST(CAST(c.name AS REGCLASS) AS OID), 3) FROM pg_class c"
            ),
            looked_up("described.name = c.name", "3")
        );
        let left =
            "SELECT shobj_description(d.oid, 'pg_database'), obj_description(1, 'pg_am') FROM d";
        assert_eq!(rewritten(left), left);
    }
}
