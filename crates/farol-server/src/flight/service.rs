//! The calls of Flight SQL.

use std::pin::Pin;
use std::sync::Arc;

use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, CommandGetCatalogs, CommandGetDbSchemas,
    CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandPreparedStatementQuery,
    CommandPreparedStatementUpdate, CommandStatementQuery, CommandStatementUpdate,
    DoPutPreparedStatementResult, ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, IpcMessage, SchemaAsIpc, Ticket,
};
use arrow_ipc::writer::IpcWriteOptions;
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::future::BoxFuture;
use futures::{Stream, TryStreamExt, stream};
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::prepared::{PreparedStatements, Statement};
use super::{catalog, status};
use crate::WaysIn;
use crate::query::{Rows, check_length};
use crate::tokens::basic;

/// Rows of values that may be bound to one statement.
const BOUND_ROWS_MAX: usize = 1;

/// Flight SQL over the query service. Clones share it.
#[derive(Clone)]
pub(super) struct Service {
    ways: WaysIn,
    prepared: Arc<PreparedStatements>,
}

type Answer<T> = Result<Response<T>, Status>;
type DataStream = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;
type HandshakeStream = Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>;

impl Service {
    pub fn new(ways: WaysIn) -> Self {
        Self {
            ways,
            prepared: Arc::default(),
        }
    }

    async fn planned(&self, statement: Statement) -> Result<LogicalPlan, Status> {
        check_length(&statement.sql).map_err(|error| status(&error))?;
        let planned = self.ways.queries.plan(planner(statement)).await;
        planned.map_err(|error| status(&error))
    }

    async fn run(&self, statement: Statement) -> Answer<DataStream> {
        check_length(&statement.sql).map_err(|error| status(&error))?;
        let run = self
            .ways
            .queries
            .run(planner(statement), self.ways.queries.patience());
        let rows = run.await.map_err(|error| status(&error))?;
        Ok(Response::new(streamed(rows)))
    }

    async fn snapshot(&self) -> Result<Arc<crate::query::Snapshot>, Status> {
        self.ways
            .queries
            .snapshot()
            .await
            .map_err(|error| status(&error))
    }
}

/// How a statement is planned, with the values of its parameters where some were bound.
fn planner(
    statement: Statement,
) -> impl FnOnce(SessionContext) -> BoxFuture<'static, DataFusionResult<LogicalPlan>> + Send + 'static
{
    move |context| {
        Box::pin(async move {
            let plan = context.state().create_logical_plan(&statement.sql).await?;
            if statement.values.is_empty() {
                return Ok(plan);
            }
            plan.replace_params_with_values(&ParamValues::from(statement.values))
        })
    }
}

/// Rows as they come.
fn streamed(rows: Rows) -> DataStream {
    let schema = rows.schema().clone();
    let batches = stream::unfold(rows, |mut rows| async move {
        let batch = rows.next().await?;
        let batch = batch.map_err(|error| FlightError::Tonic(Box::new(status(&error))));
        Some((batch, rows))
    });
    encoded(schema, batches)
}

fn encoded(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> DataStream {
    let encoder = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .build(batches);
    Box::pin(encoder.map_err(Status::from))
}

/// One batch that is all there is.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it is the answer of a call, as its other ends are"
)]
fn whole(batch: RecordBatch) -> Answer<DataStream> {
    Ok(Response::new(encoded(
        batch.schema(),
        stream::iter([Ok(batch)]),
    )))
}

/// The columns as they are sent: dictionaries are not.
fn sent(schema: SchemaRef) -> SchemaRef {
    let nothing = stream::empty::<Result<RecordBatch, FlightError>>();
    let encoder = FlightDataEncoderBuilder::new()
        .with_schema(schema.clone())
        .build(nothing);
    encoder.known_schema().unwrap_or(schema)
}

/// Where to get an answer: here, with this ticket.
fn info(
    schema: &Schema,
    ticket: &impl ProstMessageExt,
    request: Request<FlightDescriptor>,
) -> Answer<FlightInfo> {
    let ticket = Ticket::new(ticket.as_any().encode_to_vec());
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|error| Status::internal(error.to_string()))?
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
        .with_descriptor(request.into_inner());
    Ok(Response::new(info))
}

fn broken(error: impl std::fmt::Display) -> Status {
    Status::internal(error.to_string())
}

fn ipc(schema: &Schema) -> Result<Bytes, Status> {
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &IpcWriteOptions::default())
        .try_into()
        .map_err(broken)?;
    Ok(bytes)
}

/// The parameters' types, in the order of their numbers; null where the statement does not tell.
fn parameters(plan: &LogicalPlan) -> Result<Schema, Status> {
    let types = plan.get_parameter_types().map_err(broken)?;
    let mut numbered: Vec<_> = types
        .into_iter()
        .filter_map(|(name, data_type)| {
            Some((
                name.strip_prefix('$')?.parse::<u32>().ok()?,
                name,
                data_type,
            ))
        })
        .collect();
    numbered.sort_by_key(|(number, ..)| *number);
    let fields = numbered
        .into_iter()
        .map(|(_, name, data_type)| Field::new(name, data_type.unwrap_or(DataType::Null), true));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

fn read_only() -> Status {
    Status::permission_denied("only reading is possible: what is not a query changes something")
}

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Self;

    /// A basic login becomes a bearer token; who gets here was let in.
    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<HandshakeStream> {
        let header = request
            .metadata()
            .get("authorization")
            .and_then(|header| header.to_str().ok());
        let credentials = header
            .and_then(|header| header.split_once(' '))
            .map(|(_, credentials)| credentials);
        let (_, secret) = credentials.and_then(basic).ok_or_else(|| {
            Status::invalid_argument("a handshake needs `authorization: Basic …`")
        })?;
        let answer = HandshakeResponse {
            protocol_version: 0,
            payload: Bytes::new(),
        };
        let stream: HandshakeStream = Box::pin(stream::iter([Ok(answer)]));
        let mut response = Response::new(stream);
        let token = MetadataValue::try_from(format!("Bearer {secret}"))
            .map_err(|_| Status::invalid_argument("the password cannot be sent as a header"))?;
        response.metadata_mut().insert("authorization", token);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let statement = Statement {
            sql: query.query.clone(),
            values: Vec::new(),
        };
        let plan = self.planned(statement).await?;
        let ticket = TicketStatementQuery {
            statement_handle: query.query.into(),
        };
        info(&sent(plan.schema().inner().clone()), &ticket, request)
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        _request: Request<Ticket>,
    ) -> Answer<DataStream> {
        let sql = String::from_utf8(ticket.statement_handle.into())
            .map_err(|_| Status::invalid_argument("the ticket is none of this server's"))?;
        let values = Vec::new();
        self.run(Statement { sql, values }).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let statement = Statement {
            sql: query.query.clone(),
            values: Vec::new(),
        };
        let plan = self.planned(statement).await?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.prepared.keep(query.query)?,
            dataset_schema: ipc(&sent(plan.schema().inner().clone()))?,
            parameter_schema: ipc(&parameters(&plan)?)?,
        })
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let data = request
            .into_inner()
            .map_err(|error| FlightError::Tonic(Box::new(error)));
        let mut batches = FlightRecordBatchStream::new_from_flight_data(data);
        let mut values = Vec::new();
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows();
            if rows > BOUND_ROWS_MAX {
                return Err(Status::invalid_argument(
                    "a query takes one row of parameters",
                ));
            }
            for column in batch.columns().iter().filter(|column| !column.is_empty()) {
                values.push(ScalarValue::try_from_array(column, 0).map_err(broken)?);
            }
        }
        self.prepared
            .bind(&query.prepared_statement_handle, values)?;
        Ok(DoPutPreparedStatementResult {
            prepared_statement_handle: Some(query.prepared_statement_handle),
        })
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let statement = self.prepared.get(&query.prepared_statement_handle)?;
        let plan = self.planned(statement).await?;
        info(&sent(plan.schema().inner().clone()), &query, request)
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        _request: Request<Ticket>,
    ) -> Answer<DataStream> {
        self.run(self.prepared.get(&query.prepared_statement_handle)?)
            .await
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        self.prepared.close(&query.prepared_statement_handle);
        Ok(())
    }

    async fn do_put_statement_update(
        &self,
        _ticket: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn do_put_prepared_statement_update(
        &self,
        _query: CommandPreparedStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        info(&query.into_builder().schema(), &query, request)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        _request: Request<Ticket>,
    ) -> Answer<DataStream> {
        let mut builder = query.into_builder();
        catalog::catalogs(&mut builder);
        whole(builder.build().map_err(broken)?)
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        info(&query.clone().into_builder().schema(), &query, request)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        _request: Request<Ticket>,
    ) -> Answer<DataStream> {
        let mut builder = query.into_builder();
        catalog::schemas(&*self.snapshot().await?, &mut builder);
        whole(builder.build().map_err(broken)?)
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        info(&query.clone().into_builder().schema(), &query, request)
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        _request: Request<Ticket>,
    ) -> Answer<DataStream> {
        let mut builder = query.into_builder();
        let snapshot = self.snapshot().await?;
        let listed = catalog::tables(&snapshot, &mut builder).await;
        listed.map_err(|error| status(&error))?;
        whole(builder.build().map_err(broken)?)
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        info(&query.into_builder().schema(), &query, request)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _request: Request<Ticket>,
    ) -> Answer<DataStream> {
        let mut builder = query.into_builder();
        for table_type in catalog::TABLE_TYPES {
            builder.append(table_type);
        }
        whole(builder.build().map_err(broken)?)
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let known = catalog::server_info().map_err(broken)?;
        info(&known.schema(), &query, request)
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        _request: Request<Ticket>,
    ) -> Answer<DataStream> {
        let known = catalog::server_info().map_err(broken)?;
        whole(query.into_builder(&known).build().map_err(broken)?)
    }

    // `catalog::server_info` says it all; nothing is registered one by one.
    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
