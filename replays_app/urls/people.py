"""Projects, members, invitations, accounts and passwords, API tokens, the activity log."""

from django.urls import path

from replays_app.views import account, activity, invited, people, projects, tokens

project = [
    path("settings/", projects.settings_index, name="settings"),
    path("settings/project/", projects.project_settings, name="project-settings"),
    path("settings/people/", people.people_page, name="people"),
    path("settings/people/invite/", people.invite, name="invite"),
    path(
        "settings/people/invitations/<int:pk>/revoke/",
        people.revoke_invitation,
        name="invitation-revoke",
    ),
    path("settings/people/<int:pk>/", people.member_page, name="member"),
    path("settings/people/<int:pk>/role/", people.change_role, name="member-role"),
    path("settings/people/<int:pk>/remove/", people.remove, name="member-remove"),
    path("settings/people/<int:pk>/reset-link/", people.reset_link, name="member-reset-link"),
    path("settings/tokens/", tokens.tokens_page, name="tokens"),
    path("settings/tokens/new/", tokens.create_token, name="token-new"),
    path("settings/tokens/<int:pk>/revoke/", tokens.revoke_token, name="token-revoke"),
    path("activity/", activity.activity_page, name="activity"),
    path("activity/export.csv", activity.export_csv, name="activity-csv"),
    path("activity/export.jsonl", activity.export_json_lines, name="activity-jsonl"),
]
site = [
    path("projects/new/", projects.new_project, name="project-new"),
    path("account/", account.account_page, name="account"),
    path("account/name/", account.set_name, name="account-name"),
    path("account/email/", account.set_email, name="account-email"),
    path("account/password/", account.set_password, name="account-password"),
    path("password/reset/", account.password_reset, name="password-reset"),
    path("password/reset/sent/", account.reset_sent, name="password-reset-sent"),
    path("password/reset/done/", account.reset_done, name="password-reset-done"),
    path(
        "password/reset/<uidb64>/<token>/",
        account.password_reset_confirm,
        name="password-reset-confirm",
    ),
    path("invitations/", invited.invitation_page, name="invitation"),
    path("invitations/accept/", invited.accept, name="invitation-accept"),
    path("invitations/join/", invited.join, name="invitation-join"),
    path("invitations/<slug:token>/", invited.open_link, name="invitation-link"),
]
