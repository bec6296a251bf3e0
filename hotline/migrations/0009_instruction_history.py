import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hotline", "0008_lookup_rewrites_chosen"),
    ]

    operations = [
        migrations.RemoveField(model_name="goldenrun", name="notices"),
        migrations.AlterField(
            model_name="goldenrun",
            name="kind",
            field=models.CharField(
                choices=[
                    ("settings", "检索设置"),
                    ("learning", "从使用中学习"),
                    ("index", "检索索引"),
                    ("instruction", "指令模板"),
                ],
                max_length=12,
                verbose_name="改动",
            ),
        ),
        migrations.AlterModelOptions(
            name="instructiontemplate",
            options={"ordering": ["-id"], "verbose_name": "指令模板", "verbose_name_plural": "指令模板"},
        ),
        migrations.AlterField(
            model_name="instructiontemplate",
            name="key",
            field=models.SlugField(verbose_name="代码"),
        ),
        migrations.AlterField(
            model_name="instructiontemplate",
            name="text",
            field=models.TextField(blank=True, verbose_name="指令"),
        ),
        migrations.RenameField(model_name="instructiontemplate", old_name="updated_at", new_name="at"),
        migrations.AlterField(
            model_name="instructiontemplate",
            name="at",
            field=models.DateTimeField(auto_now_add=True, verbose_name="时间"),
        ),
        migrations.AddField(
            model_name="instructiontemplate",
            name="is_override",
            field=models.BooleanField(default=False, verbose_name="指标下降仍放行"),
        ),
        migrations.AddField(
            model_name="instructiontemplate",
            name="golden_run",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="hotline.goldenrun",
            ),
        ),
        migrations.AddField(
            model_name="instructiontemplate",
            name="by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="保存人",
            ),
        ),
        migrations.AddIndex(
            model_name="instructiontemplate",
            index=models.Index(fields=["key", "-id"], name="hotline_ins_key_245241_idx"),
        ),
    ]
